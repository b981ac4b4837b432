/ C functions in q: \l ffi.q. The library ffikdb.so is where q looks for those of 2:.
/ docs/kdb.md is the reference of every name. No name is defined inside \d: get, set and show are q's own words there.

/ calls
.ffi.bind:`ffikdb 2:(`bind;3)                  / [f;argument letters;result letter]: a function of one list that ends in ::
.ffi.fn:`ffikdb 2:(`ffi_fn;3)                  / the same of its own rank, which extends over vectors
.ffi.callFunction:`ffikdb 2:(`call_function;2) / [f or (letter;f);list]: types as the values have them
.ffi.asQFunc:`ffikdb 2:(`bind_K_function;2)    / [name;n]: a C function of q's own objects
.ffi.def:`ffikdb 2:(`ffi_def;2)                / [library;declarations]: a dictionary of functions
.ffi.guard:`ffikdb 2:(`ffi_guard;1)            / [f]: the same function, whose faults are errors
.ffi.show:`ffikdb 2:(`ffi_show;1)              / [f]: its declaration and its machine code

/ callbacks: (f;argument letters;result letter)
.ffi.callback:`ffikdb 2:(`ffi_callback;1)      / a function pointer
.ffi.free:`ffikdb 2:(`ffi_free;1)              / [callback or pointer]: whether there was one

/ memory
.ffi.cvar:`ffikdb 2:(`cvar;1)                  / [v or (letter;v)]: a variable
.ffi.deref:`ffikdb 2:(`deref;3)                / [address;letters;index]: the members of a struct
.ffi.sizeof:`ffikdb 2:(`ffi_sizeof;1)          / [type]
.ffi.offsetof:`ffikdb 2:(`ffi_offsetof;2)      / [type;member]
.ffi.pack:`ffikdb 2:(`ffi_pack;2)              / [type;dictionary]: bytes
.ffi.unpack:`ffikdb 2:(`ffi_unpack;2)          / [type;bytes or address]: a dictionary
.ffi.get:`ffikdb 2:(`ffi_get;3)                / [type;bytes or address;member]
.ffi.set:`ffikdb 2:(`ffi_set;4)                / [type;bytes or address;member;value]
.ffi.array:`ffikdb 2:(`ffi_array;2)            / [type;table]: the bytes of an array of structs
.ffi.table:`ffikdb 2:(`ffi_table;2)            / [type;bytes or (address;count)]: a table
.ffi.own:`ffikdb 2:(`ffi_own;2)                / [pointer;destructor]: a foreign object
.ffi.address:`ffikdb 2:(`ffi_address;1)        / [foreign object]: its pointer

/ the process
.ffi.loadlib:`ffikdb 2:(`loadlib;1)            / [library]: its symbols are found by their bare names
.ffi.setErrno:`ffikdb 2:(`set_errno;1)         / [n] or []: what errno was
.ffi.extension:{[] ("wlm"!`dll`so`dylib) first string .z.o}
.ffi.os:{[] first string .z.o}
.ffi.ptrsize:{[] 8i}

/ names of versions before 0.12
.ffi.nil:0
.ffi.cif:`ffikdb 2:(`ffi_cif;2)                / [argument letters;result letter]
.ffi.call:`ffikdb 2:(`call;3)                  / [cif;f;list]
.ffi.bindf:.ffi.bind
.ffi.ern:.ffi.setErrno

/ deprecated ones say so
.ffi.deprecated:{[old;new] -1 "Using deprecated function .ffi.",old,"!!"; -1 "Use .ffi.",new," instead.";}
.ffi.cf:{[f;args] .ffi.deprecated["cf";"callFunction"]; .ffi.callFunction[f;args]}
.ffi.kfn:{[name;n] .ffi.deprecated["kfn";"asQFunc"]; .ffi.asQFunc[name;n]}
.ffi.ext:{[name] .ffi.deprecated["ext";"extension"]; ` sv name,.ffi.extension[]}
.ffi.errno:{[n] .ffi.deprecated["errno";"setErrno"]; .ffi.setErrno n}
