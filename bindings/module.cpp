// The Python face of the native library: the executor, the instruction sets, the threads.
#include <nanobind/nanobind.h>
#include <nanobind/stl/pair.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/tuple.h>
#include <nanobind/stl/vector.h>
#include <omp.h>

#include "mocha/catalogue.h"
#include "mocha/executor.h"

namespace nb = nanobind;
using namespace nb::literals;

namespace {

// (address, number of the input or -1, offset in bytes)
using PlaceTuple = std::tuple<uintptr_t, int64_t, int64_t>;

std::vector<mocha::Place> places(const std::vector<PlaceTuple>& given) {
    std::vector<mocha::Place> result;
    for (const auto& [address, input, offset] : given) result.push_back({address, input, offset});
    return result;
}

// (0 done, 1 outside, 2 failed; the step; the message)
using OutcomeTuple = std::tuple<int, int64_t, std::string>;

OutcomeTuple told(const mocha::Outcome& outcome) {
    return {static_cast<int>(outcome.kind), outcome.step, outcome.message};
}

}  // namespace

NB_MODULE(_native, m) {
    omp_set_dynamic(0);
    m.def("instruction_sets", &mocha::instruction_sets, "Instruction sets that work here, the best first.");
    m.def(
        "scratch_bytes",
        [](const std::string& set, const std::string& kernel, int bytes, const std::vector<int64_t>& ints, int threads) {
            const mocha::Kernel* found = mocha::find_kernel(set, kernel, bytes);
            return found && found->scratch ? found->scratch(ints.data(), threads) : int64_t{0};
        },
        "instruction_set"_a, "kernel"_a, "bytes"_a, "ints"_a, "threads"_a, "Scratch memory that a kernel asks for.");
    m.def("max_threads", [] { return omp_get_max_threads(); }, "Threads that OpenMP would use.");
    nb::class_<mocha::Executor>(m, "Executor", "Runs the steps of a compiled program.")
        .def(nb::init<std::string>(), "instruction_set"_a)
        .def(
            "add",
            [](mocha::Executor& self, const std::string& kernel, int bytes, std::vector<int64_t> ints,
               std::vector<double> reals, const std::vector<PlaceTuple>& in, const std::vector<PlaceTuple>& out) {
                return self.add(kernel, bytes, std::move(ints), std::move(reals), places(in), places(out));
            },
            "kernel"_a, "bytes"_a, "ints"_a, "reals"_a, "inputs"_a, "outputs"_a,
            "Append a step; False if there is no such kernel.")
        .def("add_outside", &mocha::Executor::add_outside, "Append a step that the caller does itself.")
        .def("__len__", &mocha::Executor::size)
        .def("bind", &mocha::Executor::bind, "inputs"_a, "Set the addresses of the inputs.")
        .def("move", &mocha::Executor::move, "before"_a, "after"_a, "Replace an address in all steps.")
        .def(
            "run",
            [](mocha::Executor& self, int64_t begin, int64_t end, int threads) {
                mocha::Outcome outcome;
                {
                    nb::gil_scoped_release unlocked;
                    outcome = self.run(begin, end, threads);
                }
                return told(outcome);
            },
            "begin"_a, "end"_a, "threads"_a, "Run steps; (0 done | 1 outside | 2 failed, step, message).")
        .def(
            "run_timed",
            [](mocha::Executor& self, int64_t begin, int64_t end, int threads) {
                std::vector<double> seconds;
                mocha::Outcome outcome;
                {
                    nb::gil_scoped_release unlocked;
                    outcome = self.run_timed(begin, end, threads, seconds);
                }
                return std::make_pair(told(outcome), seconds);
            },
            "begin"_a, "end"_a, "threads"_a, "Run steps one by one; the outcome, and the seconds of each.");
}
