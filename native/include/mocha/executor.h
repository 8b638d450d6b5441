// Runs the steps of a compiled program. It knows neither ops nor shapes: the adapter has checked all that.
#pragma once

#include <cstdint>
#include <cstdlib>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "mocha/kernel.h"

namespace mocha {

// How a run ended.
struct Outcome {
    enum Kind { done, outside, failed } kind;
    int64_t step;         // outside: the step that the caller must do itself; failed: the one that refused its data
    std::string message;  // failed: why
};

// Where a step's array lies: at an address, or wherever the input of that number is at that time.
struct Place {
    uintptr_t address;
    int64_t input;   // -1 for an address
    int64_t offset;  // bytes from the input's start
};

class Executor {
   public:
    struct Free {
        void operator()(char* memory) const { std::free(memory); }
    };

    explicit Executor(std::string instruction_set);

    // Appends a step. Returns whether there is such a kernel.
    bool add(const std::string& kernel, int bytes, std::vector<int64_t> ints, std::vector<double> reals,
             std::vector<Place> in, std::vector<Place> out);
    // Appends a step that the caller does itself.
    void add_outside();
    int64_t size() const { return static_cast<int64_t>(steps_.size()); }

    // Sets the addresses of the inputs.
    void bind(const std::vector<uintptr_t>& inputs);
    // Replaces an address in all steps by another.
    void move(uintptr_t before, uintptr_t after);
    // Runs steps [begin, end).
    Outcome run(int64_t begin, int64_t end, int threads);
    // Seconds that each step took when [begin, end) was run, appended to `seconds`; for profiles.
    Outcome run_timed(int64_t begin, int64_t end, int threads, std::vector<double>& seconds);

   private:
    struct Bound {
        const Kernel* kernel;  // null: outside
        std::vector<int64_t> ints;
        std::vector<double> reals;
        std::vector<Place> places;  // of in, then of out
        std::vector<void*> in, out;
    };

    void reserve_scratch(int threads);
    void place(Bound& step, const std::vector<uintptr_t>* inputs);

    std::string instruction_set_;
    std::vector<Bound> steps_;
    std::unique_ptr<char[], Free> scratch_;
    int scratch_threads_ = 0;
    int64_t scratch_steps_ = 0;
};

}  // namespace mocha
