/* What differs between the machines: see ffi.h. */

#ifndef LIBFFI_TARGET_H
#define LIBFFI_TARGET_H

#ifndef LIBFFI_H
#error "include <ffi.h>, not <ffitarget.h>"
#endif

#if !defined(__linux__) || !defined(__LP64__) || !(defined(__x86_64__) || defined(__aarch64__))
#error "this libffi is for Linux on x86_64 and AArch64, with 64-bit pointers"
#endif

#ifndef LIBFFI_ASM

/* What integer results narrower than a word are widened to. */
typedef unsigned long ffi_arg;
typedef signed long ffi_sarg;

/* Calling conventions. */
typedef enum ffi_abi {
#if defined(__x86_64__)
  FFI_FIRST_ABI = 1,
  FFI_UNIX64,           /* System V: C's own */
  FFI_WIN64,            /* Windows x64: __attribute__((ms_abi)) */
  FFI_EFI64 = FFI_WIN64,
  FFI_GNUW64,           /* the same */
  FFI_LAST_ABI,
  FFI_DEFAULT_ABI = FFI_UNIX64
#else
  FFI_FIRST_ABI = 0,
  FFI_SYSV,             /* AAPCS64: C's own */
  FFI_WIN64,            /* the same on Linux */
  FFI_LAST_ABI,
  FFI_DEFAULT_ABI = FFI_SYSV
#endif
} ffi_abi;

#endif /* LIBFFI_ASM */

#define FFI_CLOSURES 1
#define FFI_GO_CLOSURES 1
#define FFI_NATIVE_RAW_API 0

/* Bytes at the start of a closure that belong to the library. */
#if defined(__x86_64__)
#define FFI_TRAMPOLINE_SIZE 32
#else
#define FFI_TRAMPOLINE_SIZE 24
#endif

#define FFI_TARGET_HAS_COMPLEX_TYPE 1
#define FFI_TARGET_HAS_INT128 1
#define FFI_TARGET_HAS_VECTOR_TYPE 1
#define FFI_TARGET_SPECIFIC_VARIADIC 1

#define FFI_SIZEOF_ARG 8
#define FFI_SIZEOF_JAVA_RAW 8

#endif
