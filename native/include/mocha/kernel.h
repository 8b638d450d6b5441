// What a kernel is: a function that runs one step of a program.
//
// A kernel file is compiled once per instruction set. It must not use anything that the linker would merge across the
// copies (templates of the standard library, inline functions outside the namespace of the instruction set), nor
// initialise anything when the library is loaded: the copy for another machine would run here.
#pragma once

#include <cstdint>

namespace mocha {

// The arguments of one step. Everything was checked when the program was compiled; a kernel checks nothing but data.
struct Step {
    const int64_t* ints;   // whole-number attributes, in the order that the kernel's comment gives
    const double* reals;   // other attributes
    void* const* in;       // input arrays
    void* const* out;      // output arrays
    char* scratch;         // as many bytes as the kernel's `scratch` asked for, aligned to 64
    int threads;           // how many threads to use
};

// Runs a step. Returns null, or what is wrong with the data; nothing else can go wrong.
using Run = const char* (*)(const Step&);

// Bytes of scratch memory that a step needs, from its attributes and the number of threads.
using Scratch = int64_t (*)(const int64_t* ints, int threads);

// An entry of a kernel file's table. The table ends with an entry without a name.
struct Kernel {
    const char* name;  // as the Python side calls it: "conv_forward"
    int bytes;         // 4 for float, 8 for double, 1 for bytes, where they are moved
    Run run;
    Scratch scratch;   // null for none
};

}  // namespace mocha
