//! What hardened systems forbid a process: seccomp filters and `PR_SET_MDWE`, for tests that run under them.

// Each test binary uses a part of it.
#![allow(dead_code)]

use std::ffi::c_void;
use std::io;
use std::mem::offset_of;

/// `PR_SET_MDWE`, `PR_GET_MDWE` and `PR_MDWE_REFUSE_EXEC_GAIN` of <linux/prctl.h>, of Linux 6.3.
const PR_SET_MDWE: libc::c_int = 65;
const PR_GET_MDWE: libc::c_int = 66;
const PR_MDWE_REFUSE_EXEC_GAIN: libc::c_ulong = 1;

/// `AUDIT_ARCH_X86_64` and `AUDIT_ARCH_AARCH64` of <linux/audit.h>: which machine's system call it is.
#[cfg(target_arch = "x86_64")]
const AUDIT_ARCH: u32 = 0xc000_003e;
#[cfg(target_arch = "aarch64")]
const AUDIT_ARCH: u32 = 0xc000_00b7;

/// A restriction that a process can put on itself, and does not get rid of.
pub(crate) struct Policy {
    /// What reports call it.
    pub(crate) name: &'static str,
    means: Means,
    /// Does what is refused, with that error.
    witness: fn() -> io::Result<()>,
    errno: libc::c_int,
}

enum Means {
    Mdwe,
    /// For the calling thread, and the threads and processes that it starts.
    Filter(Vec<libc::sock_filter>),
}

/// A system call that is refused where each of these arguments has all of those bits.
struct Rule(libc::c_long, &'static [(u32, libc::c_int)]);

/// `mprotect` and its like, where they make memory executable.
const GAIN: [Rule; 2] =
    [Rule(libc::SYS_mprotect, &[(2, libc::PROT_EXEC)]), Rule(libc::SYS_pkey_mprotect, &[(2, libc::PROT_EXEC)])];

/// `shmat` of executable memory.
const ATTACH: Rule = Rule(libc::SYS_shmat, &[(2, libc::SHM_EXEC)]);

impl Policy {
    /// The kernel's own: memory that was not executable when it was mapped never becomes so, nor is any mapped
    /// writable and executable.
    pub(crate) fn mdwe() -> Policy {
        let name = "PR_SET_MDWE";
        Policy { name, means: Means::Mdwe, witness: make_executable, errno: libc::EACCES }
    }

    /// systemd's `MemoryDenyWriteExecute=` as a filter.
    pub(crate) fn systemd() -> Policy {
        let map = Rule(libc::SYS_mmap, &[(2, libc::PROT_EXEC | libc::PROT_WRITE)]);
        let [protect, pkey_protect] = GAIN;
        let rules = [map, protect, pkey_protect, ATTACH];
        Policy::filter("MemoryDenyWriteExecute=", &rules, libc::EPERM, make_executable)
    }

    /// No executable mapping at all, whatever it maps. Programs cannot be started under it, nor libraries be loaded.
    pub(crate) fn no_executable_mapping(errno: libc::c_int) -> Policy {
        let [protect, pkey_protect] = GAIN;
        let rules = [Rule(libc::SYS_mmap, &[(2, libc::PROT_EXEC)]), protect, pkey_protect, ATTACH];
        Policy::filter("a filter of executable mappings", &rules, errno, map_executable)
    }

    /// No executable mapping that is shared; programs and libraries are mapped privately.
    pub(crate) fn no_shared_executable_mapping() -> Policy {
        let map = Rule(libc::SYS_mmap, &[(2, libc::PROT_EXEC), (3, libc::MAP_SHARED)]);
        Policy::filter("a filter of shared executable mappings", &[map], libc::EACCES, map_shared_executable)
    }

    /// No files without names.
    pub(crate) fn no_memory_file() -> Policy {
        let create = Rule(libc::SYS_memfd_create, &[]);
        Policy::filter("a filter of memfd_create", &[create], libc::EPERM, || create_memory_file().map(drop))
    }

    fn filter(name: &'static str, rules: &[Rule], errno: libc::c_int, witness: fn() -> io::Result<()>) -> Policy {
        Policy { name, means: Means::Filter(program(rules, errno)), witness, errno }
    }

    /// Why the system cannot apply it; `None` where it can.
    pub(crate) fn left_out(&self) -> Option<String> {
        let request = match self.means {
            Means::Mdwe => PR_GET_MDWE,
            Means::Filter(_) => libc::PR_GET_SECCOMP,
        };
        // SAFETY: both requests only answer a question; their further arguments are zero.
        let answer = unsafe { libc::prctl(request, 0, 0, 0, 0) };
        (answer < 0).then(|| {
            let error = io::Error::last_os_error();
            format!("left out: {}, which this system does not know ({error})", self.name)
        })
    }

    /// Applies it to this process, for good. Allocates nothing, so that a process may do it between `fork` and `exec`.
    pub(crate) fn apply(&self) -> io::Result<()> {
        let succeeds = |outcome: libc::c_int| if outcome == 0 { Ok(()) } else { Err(io::Error::last_os_error()) };
        match &self.means {
            // SAFETY: the arguments are those that prctl(2) asks for.
            Means::Mdwe => succeeds(unsafe { libc::prctl(PR_SET_MDWE, PR_MDWE_REFUSE_EXEC_GAIN, 0, 0, 0) }),
            Means::Filter(filter) => {
                let filter = filter.as_slice();
                let program = libc::sock_fprog { len: filter.len() as u16, filter: filter.as_ptr().cast_mut() };
                // SAFETY: the arguments are those that prctl(2) asks for; the kernel copies the program.
                unsafe {
                    succeeds(libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))?;
                    succeeds(libc::prctl(libc::PR_SET_SECCOMP, libc::SECCOMP_MODE_FILTER, &raw const program))
                }
            }
        }
    }

    /// Whether it is in force: what it refuses is refused, in its way.
    pub(crate) fn is_in_force(&self) -> bool {
        (self.witness)().is_err_and(|error| error.raw_os_error() == Some(self.errno))
    }
}

/// The filter, in classic BPF (seccomp(2)). Each rule is a block that falls through to the next one:
///
/// ```text
///     load the number
///     is it the rule's?           no: next rule
///     load an argument        \
///     keep the rule's bits     |  for each argument
///     are they all set?       /   no: next rule
///     return the error
/// ```
fn program(rules: &[Rule], errno: libc::c_int) -> Vec<libc::sock_filter> {
    let load = |offset| statement(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, offset);
    let give = |what| statement(libc::BPF_RET | libc::BPF_K, what);
    // Another machine's system calls have other numbers. No test makes any.
    let mut program = vec![
        load(offset_of!(libc::seccomp_data, arch)),
        libc::sock_filter { jt: 1, ..unless_equal(AUDIT_ARCH, 0) },
        give(libc::SECCOMP_RET_KILL_PROCESS as usize),
    ];
    for Rule(call, arguments) in rules {
        let mut left = 3 * arguments.len();
        program.extend([load(offset_of!(libc::seccomp_data, nr)), unless_equal(*call as u32, left + 1)]);
        for (argument, bits) in *arguments {
            left -= 3;
            // Both machines are little-endian: the low half of an argument comes first.
            let offset = offset_of!(libc::seccomp_data, args) + 8 * *argument as usize;
            let keep = statement(libc::BPF_ALU | libc::BPF_AND | libc::BPF_K, *bits as usize);
            program.extend([load(offset), keep, unless_equal(*bits as u32, left + 1)]);
        }
        program.push(give(libc::SECCOMP_RET_ERRNO as usize | errno as usize));
    }
    program.push(give(libc::SECCOMP_RET_ALLOW as usize));
    program
}

fn statement(code: u32, operand: usize) -> libc::sock_filter {
    libc::sock_filter { code: code as u16, jt: 0, jf: 0, k: operand as u32 }
}

/// Leaves out so many instructions unless the loaded word is that value.
fn unless_equal(value: u32, skip: usize) -> libc::sock_filter {
    let code = libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K;
    libc::sock_filter { code: code as u16, jt: 0, jf: skip as u8, k: value }
}

/// A page of memory, given back in the end.
struct Page(*mut c_void);

const PAGE: usize = 1 << 16;

impl Page {
    fn map(protection: libc::c_int, flags: libc::c_int) -> io::Result<Page> {
        // SAFETY: a new mapping at a place of the kernel's choice disturbs no other.
        let start = unsafe { libc::mmap(std::ptr::null_mut(), PAGE, protection, flags | libc::MAP_ANONYMOUS, -1, 0) };
        if start == libc::MAP_FAILED { Err(io::Error::last_os_error()) } else { Ok(Page(start)) }
    }
}

impl Drop for Page {
    fn drop(&mut self) {
        // SAFETY: the page is this value's own.
        unsafe { libc::munmap(self.0, PAGE) };
    }
}

fn map_executable() -> io::Result<()> {
    Page::map(libc::PROT_READ | libc::PROT_EXEC, libc::MAP_PRIVATE).map(drop)
}

fn map_shared_executable() -> io::Result<()> {
    Page::map(libc::PROT_READ | libc::PROT_EXEC, libc::MAP_SHARED).map(drop)
}

/// What just-in-time compilers do that have one mapping.
fn make_executable() -> io::Result<()> {
    let page = Page::map(libc::PROT_READ | libc::PROT_WRITE, libc::MAP_PRIVATE)?;
    // SAFETY: the page is this function's own, and nothing is in it.
    let outcome = unsafe { libc::mprotect(page.0, PAGE, libc::PROT_READ | libc::PROT_EXEC) };
    if outcome == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

fn create_memory_file() -> io::Result<std::os::fd::OwnedFd> {
    // SAFETY: the name is a C string.
    let descriptor = unsafe { libc::memfd_create(c"hardening".as_ptr(), libc::MFD_CLOEXEC) };
    if descriptor < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the descriptor is new, and owned by nobody else.
    Ok(unsafe { std::os::fd::FromRawFd::from_raw_fd(descriptor) })
}
