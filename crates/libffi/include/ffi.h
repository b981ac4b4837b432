/* Calls of C functions whose type is known at run time, and function pointers made at run time.

   The interface is that of libffi, releases 3.4.4 to 3.8: programs need not be compiled anew for either. The library
   behind it is jitcall's.

   A call takes three steps: describe the types (ffi_type), prepare the signature once (ffi_prep_cif), call as often as
   wanted (ffi_call). */

#ifndef LIBFFI_H
#define LIBFFI_H

#include "ffitarget.h"

#ifndef LIBFFI_ASM

#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

#ifndef FFI_API
#define FFI_API
#endif
#ifndef FFI_EXTERN
#define FFI_EXTERN extern
#endif

/* ------------------------------------------------------------------------------------------------------- Types */

/* A type. For a struct: type FFI_TYPE_STRUCT, elements a list of the members' types that ends in a null pointer, size
   and alignment 0: they are filled in, in bytes, when the type is first used. A struct that has a size keeps it. A vector
   has as many elements as lanes, all of one type. */
typedef struct _ffi_type {
  size_t size;
  unsigned short alignment;
  unsigned short type;
  struct _ffi_type **elements;
} ffi_type;

#endif /* LIBFFI_ASM */

/* What a type is. */
#define FFI_TYPE_VOID 0
#define FFI_TYPE_INT 1
#define FFI_TYPE_FLOAT 2
#define FFI_TYPE_DOUBLE 3
#define FFI_TYPE_LONGDOUBLE 4
#define FFI_TYPE_UINT8 5
#define FFI_TYPE_SINT8 6
#define FFI_TYPE_UINT16 7
#define FFI_TYPE_SINT16 8
#define FFI_TYPE_UINT32 9
#define FFI_TYPE_SINT32 10
#define FFI_TYPE_UINT64 11
#define FFI_TYPE_SINT64 12
#define FFI_TYPE_STRUCT 13
#define FFI_TYPE_POINTER 14
#define FFI_TYPE_COMPLEX 15
#define FFI_TYPE_UINT128 16
#define FFI_TYPE_SINT128 17
#define FFI_TYPE_VECTOR 18
#define FFI_TYPE_LAST FFI_TYPE_VECTOR

#ifndef LIBFFI_ASM

#ifndef LIBFFI_HIDE_BASIC_TYPES

FFI_EXTERN ffi_type ffi_type_void;
FFI_EXTERN ffi_type ffi_type_uint8;
FFI_EXTERN ffi_type ffi_type_sint8;
FFI_EXTERN ffi_type ffi_type_uint16;
FFI_EXTERN ffi_type ffi_type_sint16;
FFI_EXTERN ffi_type ffi_type_uint32;
FFI_EXTERN ffi_type ffi_type_sint32;
FFI_EXTERN ffi_type ffi_type_uint64;
FFI_EXTERN ffi_type ffi_type_sint64;
FFI_EXTERN ffi_type ffi_type_uint128;
FFI_EXTERN ffi_type ffi_type_sint128;
FFI_EXTERN ffi_type ffi_type_float;
FFI_EXTERN ffi_type ffi_type_double;
FFI_EXTERN ffi_type ffi_type_longdouble;
FFI_EXTERN ffi_type ffi_type_pointer;
FFI_EXTERN ffi_type ffi_type_complex_float;
FFI_EXTERN ffi_type ffi_type_complex_double;
FFI_EXTERN ffi_type ffi_type_complex_longdouble;

#define ffi_type_uchar ffi_type_uint8
#define ffi_type_schar ffi_type_sint8
#define ffi_type_ushort ffi_type_uint16
#define ffi_type_sshort ffi_type_sint16
#define ffi_type_uint ffi_type_uint32
#define ffi_type_sint ffi_type_sint32
#define ffi_type_ulong ffi_type_uint64
#define ffi_type_slong ffi_type_sint64

#endif /* LIBFFI_HIDE_BASIC_TYPES */

/* ------------------------------------------------------------------------------------------------------- Calls */

/* What functions return that can fail. */
typedef enum ffi_status {
  FFI_OK = 0,
  FFI_BAD_TYPEDEF, /* a type is not described as it should be, or cannot be passed */
  FFI_BAD_ABI,     /* there is no such calling convention here */
  FFI_BAD_ARGTYPE  /* a variadic argument has a type that C promotes to another one */
} ffi_status;

/* A signature. The caller owns it, and may copy it and free it without notice. The types that it names must stay; bytes
   and flags belong to the library. */
typedef struct ffi_cif {
  ffi_abi abi;
  unsigned nargs;
  ffi_type **arg_types;
  ffi_type *rtype;
  unsigned bytes;
  unsigned flags;
} ffi_cif;

/* Prepares a signature of nargs arguments with the types atypes and a result of type rtype. */
FFI_API ffi_status ffi_prep_cif(ffi_cif *cif, ffi_abi abi, unsigned int nargs, ffi_type *rtype, ffi_type **atypes);

/* The same for one kind of call of a variadic function: ntotalargs arguments, of which nfixedargs have names. */
FFI_API ffi_status ffi_prep_cif_var(ffi_cif *cif, ffi_abi abi, unsigned int nfixedargs, unsigned int ntotalargs,
                                    ffi_type *rtype, ffi_type **atypes);

/* Calls fn. avalue has the address of each argument. The result is written to rvalue: an integer narrower than ffi_arg as
   an ffi_arg or ffi_sarg, any other type with its own size. rvalue may be null where the result is not wanted. */
FFI_API void ffi_call(ffi_cif *cif, void (*fn)(void), void *rvalue, void **avalue);

/* Writes the distance of each member of a struct from its start to offsets, in bytes, and fills in the type. */
FFI_API ffi_status ffi_get_struct_offsets(ffi_abi abi, ffi_type *struct_type, size_t *offsets);

/* Call plans, for programs that use them: here they are as fast as ffi_call. Threads may share one. The size is that of
   what is held for a plan, in bytes; plans of one signature share it. Null is no plan, and has no size. */
typedef struct ffi_call_plan ffi_call_plan;

FFI_API ffi_call_plan *ffi_call_plan_alloc(ffi_cif *cif);
FFI_API void ffi_call_plan_invoke(ffi_call_plan *plan, void (*fn)(void), void *rvalue, void **avalue);
FFI_API void ffi_call_plan_free(ffi_call_plan *plan);
FFI_API size_t ffi_call_plan_size(ffi_call_plan *plan);

#define FFI_FN(f) ((void (*)(void))(f))
#define FFI_CL(f) ((void *)(f))

/* ---------------------------------------------------------------------------------------------------- Closures */

/* A function pointer for C that calls fun with its signature, room for the result, the address of each argument, and
   user_data. */
typedef struct ffi_closure {
  char tramp[FFI_TRAMPOLINE_SIZE];
  ffi_cif *cif;
  void (*fun)(ffi_cif *, void *, void **, void *);
  void *user_data;
} __attribute__((aligned(8))) ffi_closure;

/* Allocates a closure of size bytes and writes the address that C is to call to *code; null where there is no memory. */
FFI_API void *ffi_closure_alloc(size_t size, void **code);

/* Frees it. */
FFI_API void ffi_closure_free(void *closure);

/* Makes a closure that is called at codeloc: the address from ffi_closure_alloc; or, where the closure is the caller's
   own memory, the address at which that memory can be executed. */
FFI_API ffi_status ffi_prep_closure_loc(ffi_closure *closure, ffi_cif *cif,
                                        void (*fun)(ffi_cif *, void *, void **, void *), void *user_data,
                                        void *codeloc);

/* The same for a closure in memory of the caller's own that is both writable and executable. */
FFI_API ffi_status ffi_prep_closure(ffi_closure *closure, ffi_cif *cif,
                                    void (*fun)(ffi_cif *, void *, void **, void *), void *user_data)
    __attribute__((deprecated("use ffi_prep_closure_loc instead")));

/* A closure that callers find by the static chain (r10, or x18 on AArch64), as Go's do: they call tramp. fun gets the
   closure's address as its last argument. */
typedef struct ffi_go_closure {
  void *tramp;
  ffi_cif *cif;
  void (*fun)(ffi_cif *, void *, void **, void *);
} ffi_go_closure;

FFI_API ffi_status ffi_prep_go_closure(ffi_go_closure *closure, ffi_cif *cif,
                                       void (*fun)(ffi_cif *, void *, void **, void *));

/* Calls fn with closure as its static chain. */
FFI_API void ffi_call_go(ffi_cif *cif, void (*fn)(void), void *rvalue, void **avalue, void *closure);

/* ------------------------------------------------------------------------------------------- Arguments in words */

/* The raw interface has arguments in an array of words, as interpreters do: a struct by its address. In Java's, 64-bit
   integers and doubles take two words, with the value in the first; there are no structs. */
typedef union ffi_raw {
  ffi_sarg sint;
  ffi_arg uint;
  float flt;
  char data[FFI_SIZEOF_ARG];
  void *ptr;
} ffi_raw;

typedef ffi_raw ffi_java_raw;

typedef struct ffi_raw_closure {
  char tramp[FFI_TRAMPOLINE_SIZE];
  ffi_cif *cif;
  void (*translate_args)(ffi_cif *, void *, void **, void *);
  void *this_closure;
  void (*fun)(ffi_cif *, void *, ffi_raw *, void *);
  void *user_data;
} ffi_raw_closure;

typedef struct ffi_java_raw_closure {
  char tramp[FFI_TRAMPOLINE_SIZE];
  ffi_cif *cif;
  void (*translate_args)(ffi_cif *, void *, void **, void *);
  void *this_closure;
  void (*fun)(ffi_cif *, void *, ffi_java_raw *, void *);
  void *user_data;
} ffi_java_raw_closure;

/* Bytes that the words of all arguments take. */
FFI_API size_t ffi_raw_size(ffi_cif *cif);
FFI_API size_t ffi_java_raw_size(ffi_cif *cif);

FFI_API void ffi_raw_call(ffi_cif *cif, void (*fn)(void), void *rvalue, ffi_raw *avalue);
FFI_API void ffi_java_raw_call(ffi_cif *cif, void (*fn)(void), void *rvalue, ffi_java_raw *avalue);

/* From words to the addresses that ffi_call wants, and back. */
FFI_API void ffi_raw_to_ptrarray(ffi_cif *cif, ffi_raw *raw, void **args);
FFI_API void ffi_ptrarray_to_raw(ffi_cif *cif, void **args, ffi_raw *raw);
FFI_API void ffi_java_raw_to_ptrarray(ffi_cif *cif, ffi_java_raw *raw, void **args);
FFI_API void ffi_java_ptrarray_to_raw(ffi_cif *cif, void **args, ffi_java_raw *raw);

FFI_API ffi_status ffi_prep_raw_closure(ffi_raw_closure *closure, ffi_cif *cif,
                                        void (*fun)(ffi_cif *, void *, ffi_raw *, void *), void *user_data);
FFI_API ffi_status ffi_prep_raw_closure_loc(ffi_raw_closure *closure, ffi_cif *cif,
                                            void (*fun)(ffi_cif *, void *, ffi_raw *, void *), void *user_data,
                                            void *codeloc);
FFI_API ffi_status ffi_prep_java_raw_closure(ffi_java_raw_closure *closure, ffi_cif *cif,
                                             void (*fun)(ffi_cif *, void *, ffi_java_raw *, void *), void *user_data);
FFI_API ffi_status ffi_prep_java_raw_closure_loc(ffi_java_raw_closure *closure, ffi_cif *cif,
                                                 void (*fun)(ffi_cif *, void *, ffi_java_raw *, void *),
                                                 void *user_data, void *codeloc);

/* ---------------------------------------------------------------------------------------------------- Versions */

/* The release of libffi whose interface this is: 10000 for each major, 100 for each minor. */
#define FFI_VERSION_STRING "3.8.0"
#define FFI_VERSION_NUMBER 30800

FFI_API const char *ffi_get_version(void);
FFI_API unsigned long ffi_get_version_number(void);

/* FFI_DEFAULT_ABI and sizeof(ffi_closure), for programs that are not compiled with this file. */
FFI_API unsigned int ffi_get_default_abi(void);
FFI_API size_t ffi_get_closure_size(void);

#ifdef __cplusplus
}
#endif

#endif /* LIBFFI_ASM */

#endif
