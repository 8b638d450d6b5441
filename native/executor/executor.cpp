#include "mocha/executor.h"

#include <algorithm>
#include <chrono>
#include <cstring>
#include <new>

#include "mocha/catalogue.h"

#ifdef __linux__
#include <sys/mman.h>
#endif

namespace mocha {

namespace {

constexpr size_t huge_page = size_t{2} << 20;

// Zeroed memory that starts at a multiple of 64 bytes; much of it lies on huge pages where the system has them, so that
// kernels that write to many places at once do not wait for the tables of pages.
std::unique_ptr<char[], Executor::Free> aligned_memory(size_t bytes) {
    const size_t unit = bytes >= huge_page ? huge_page : 64, whole = (bytes + unit) / unit * unit;
    void* memory = std::aligned_alloc(unit, whole);
    if (!memory) throw std::bad_alloc();
#ifdef __linux__
    if (unit == huge_page) madvise(memory, whole, MADV_HUGEPAGE);
#endif
    std::memset(memory, 0, whole);
    return std::unique_ptr<char[], Executor::Free>(static_cast<char*>(memory));
}

}  // namespace

Executor::Executor(std::string instruction_set) : instruction_set_(std::move(instruction_set)) {}

bool Executor::add(const std::string& kernel, int bytes, std::vector<int64_t> ints, std::vector<double> reals,
                   std::vector<Place> in, std::vector<Place> out) {
    const Kernel* found = find_kernel(instruction_set_, kernel, bytes);
    if (!found) return false;
    Bound step;
    step.kernel = found;
    step.ints = std::move(ints);
    step.reals = std::move(reals);
    step.in.resize(in.size());
    step.out.resize(out.size());
    step.places = std::move(in);
    step.places.insert(step.places.end(), out.begin(), out.end());
    place(step, nullptr);
    steps_.push_back(std::move(step));
    return true;
}

void Executor::add_outside() { steps_.push_back(Bound{}); }

void Executor::place(Bound& step, const std::vector<uintptr_t>* inputs) {
    for (size_t i = 0; i < step.places.size(); ++i) {
        const Place& at = step.places[i];
        void*& pointer = i < step.in.size() ? step.in[i] : step.out[i - step.in.size()];
        if (at.input < 0)
            pointer = reinterpret_cast<void*>(at.address);
        else if (inputs)
            pointer = reinterpret_cast<void*>((*inputs)[static_cast<size_t>(at.input)] + static_cast<uintptr_t>(at.offset));
    }
}

void Executor::bind(const std::vector<uintptr_t>& inputs) {
    for (Bound& step : steps_)
        if (std::any_of(step.places.begin(), step.places.end(), [](const Place& at) { return at.input >= 0; }))
            place(step, &inputs);
}

void Executor::move(uintptr_t before, uintptr_t after) {
    for (Bound& step : steps_)
        for (size_t i = 0; i < step.places.size(); ++i) {
            Place& at = step.places[i];
            if (at.input >= 0 || at.address != before) continue;
            at.address = after;
            (i < step.in.size() ? step.in[i] : step.out[i - step.in.size()]) = reinterpret_cast<void*>(after);
        }
}

void Executor::reserve_scratch(int threads) {
    if (threads == scratch_threads_ && size() == scratch_steps_) return;
    int64_t most = 0;
    for (const Bound& step : steps_)
        if (step.kernel && step.kernel->scratch) most = std::max(most, step.kernel->scratch(step.ints.data(), threads));
    scratch_ = aligned_memory(static_cast<size_t>(most));
    scratch_threads_ = threads;
    scratch_steps_ = size();
}

Outcome Executor::run(int64_t begin, int64_t end, int threads) {
    reserve_scratch(threads);
    for (int64_t i = begin; i < end; ++i) {
        const Bound& step = steps_[static_cast<size_t>(i)];
        if (!step.kernel) return {Outcome::outside, i, ""};
        const Step args{step.ints.data(), step.reals.data(), step.in.data(), step.out.data(), scratch_.get(), threads};
        if (const char* wrong = step.kernel->run(args)) return {Outcome::failed, i, wrong};
    }
    return {Outcome::done, end, ""};
}

Outcome Executor::run_timed(int64_t begin, int64_t end, int threads, std::vector<double>& seconds) {
    for (int64_t i = begin; i < end; ++i) {
        const auto start = std::chrono::steady_clock::now();
        const Outcome outcome = run(i, i + 1, threads);
        if (outcome.kind != Outcome::done) return outcome;
        seconds.push_back(std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count());
    }
    return {Outcome::done, end, ""};
}

}  // namespace mocha
