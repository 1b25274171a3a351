# Every target of ours links samara_warnings privately.
add_library(samara_warnings INTERFACE)
target_compile_options(samara_warnings INTERFACE
    -Wall -Wextra -Wshadow -Wconversion -Wsign-conversion -Wpointer-arith -Wcast-qual
    -Wwrite-strings -Wvla -Wformat=2 -Wundef -Wnull-dereference -Wimplicit-fallthrough
    $<$<COMPILE_LANGUAGE:C>:-Wstrict-prototypes -Wmissing-prototypes>
    # KVM's own structures end in arrays of no size.
    $<$<C_COMPILER_ID:Clang>:-Wno-gnu-variable-sized-type-not-at-end>
    $<$<BOOL:${SAMARA_WERROR}>:-Werror>)
