// The kernels of all instruction sets, and the choice between them.
#pragma once

#include <string>
#include <vector>

#include "mocha/kernel.h"

namespace mocha {

// Names of the instruction sets that the library was built for and that work on this machine, the best first.
std::vector<std::string> instruction_sets();

// The kernel of that name for elements of so many bytes; null if there is none. The instruction set must be one of
// `instruction_sets`.
const Kernel* find_kernel(const std::string& set, const std::string& name, int bytes);

}  // namespace mocha
