# What surrounds our code: samara_glibc (tests, sanitizers, fuzzers), samara_musl (the binary that
# ships: its start-up is 250 us shorter) and samara_freestanding (the guest kernel).

add_library(samara_common INTERFACE)
target_include_directories(samara_common INTERFACE ${CMAKE_SOURCE_DIR})
# Empty, so that a file may define it as well without a redefinition.
target_compile_definitions(samara_common INTERFACE
    "_GNU_SOURCE=" SAMARA_VERSION="${PROJECT_VERSION}"
    # Sanitizers make system calls of their own.
    SAMARA_SECCOMP_DEFAULT=SECCOMP_MODE_$<IF:$<BOOL:${SAMARA_SANITIZE}>,OFF,KILL>)
target_compile_options(samara_common INTERFACE -fno-common -fno-strict-aliasing)

# --- hardening of everything that runs on the host ---
add_library(samara_hardening INTERFACE)
target_compile_options(samara_hardening INTERFACE
    -fstack-protector-strong -fstack-clash-protection)
target_link_options(samara_hardening INTERFACE LINKER:-z,relro,-z,now,-z,noexecstack)

# --- glibc ---
set(samara_sanitizers "")
if(SAMARA_SANITIZE)
    set(samara_sanitizers -fsanitize=address,undefined -fno-sanitize-recover=all
        -fno-omit-frame-pointer)
elseif(SAMARA_FUZZ)
    set(samara_sanitizers -fsanitize=fuzzer-no-link,address,undefined -fno-sanitize-recover=all
        -fno-omit-frame-pointer)
endif()
add_library(samara_glibc INTERFACE)
target_link_libraries(samara_glibc INTERFACE samara_common samara_hardening fdt)
target_compile_options(samara_glibc INTERFACE -fPIE -pthread ${samara_sanitizers})
target_link_options(samara_glibc INTERFACE -pie -pthread ${samara_sanitizers})
if(NOT samara_sanitizers)
    target_compile_options(samara_glibc INTERFACE -U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=2)
endif()

# --- musl ---
# Debian's gcc with musl's specs. Those take /usr/include away, so the kernel's own headers, libfdt and
# xxhash (a header alone), which do not care about the C library, come back through a folder of links.
# _FORTIFY_SOURCE does nothing with musl's headers and is not set.
if(NOT SAMARA_FUZZ)
    find_file(SAMARA_MUSL_SPECS musl-gcc.specs
        PATHS /usr/lib/x86_64-linux-musl /usr/lib/x86_64-linux-musl/lib NO_DEFAULT_PATH REQUIRED)
    find_library(SAMARA_FDT_ARCHIVE libfdt.a REQUIRED)
    set(musl_include ${CMAKE_BINARY_DIR}/musl-include)
    file(MAKE_DIRECTORY ${musl_include})
    foreach(link linux:/usr/include/linux asm-generic:/usr/include/asm-generic
            asm:/usr/include/x86_64-linux-gnu/asm fdt.h:/usr/include/fdt.h
            libfdt.h:/usr/include/libfdt.h libfdt_env.h:/usr/include/libfdt_env.h xxhash.h:/usr/include/xxhash.h)
        string(REPLACE ":" ";" link ${link})
        list(GET link 0 name)
        list(GET link 1 target)
        file(CREATE_LINK ${target} ${musl_include}/${name} SYMBOLIC)
    endforeach()

    add_library(samara_musl INTERFACE)
    target_link_libraries(samara_musl INTERFACE samara_common samara_hardening
        ${SAMARA_FDT_ARCHIVE})
    # -isystem by hand: CMake's SYSTEM would be dropped for musl's -nostdinc on some compilers.
    target_compile_options(samara_musl INTERFACE -specs=${SAMARA_MUSL_SPECS} -fno-pie -pthread
        "SHELL:-isystem ${musl_include}")
    target_link_options(samara_musl INTERFACE -specs=${SAMARA_MUSL_SPECS} -static -no-pie
        LINKER:--build-id=none)
endif()

# --- freestanding ---
# The kernel's C code runs in ring 3 and the stubs in ring 0, where KVM without hardware
# virtualisation emulates: no vector registers and no bit instructions that its emulator mistakes.
add_library(samara_freestanding INTERFACE)
target_include_directories(samara_freestanding INTERFACE ${CMAKE_SOURCE_DIR})
target_compile_options(samara_freestanding INTERFACE
    -Os -ffreestanding -fbuiltin -fpie -mcmodel=small -mno-red-zone -mgeneral-regs-only -mno-bmi -mno-popcnt
    -mno-lzcnt -fno-stack-protector -fno-asynchronous-unwind-tables -fcf-protection=none
    -fno-common -fno-strict-aliasing
    "SHELL:-include ${CMAKE_SOURCE_DIR}/cmake/hidden.h")
# Relaxing a weak symbol's GOT entry would need an address below 4 GiB.
target_link_options(samara_freestanding INTERFACE -nostdlib -static -no-pie
    LINKER:--build-id=none,-z,max-page-size=4096,-z,noexecstack,--no-relax)
