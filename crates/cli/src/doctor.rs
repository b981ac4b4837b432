//! `jitcall doctor`: what this machine lets the engine do, and how the engine uses it.

use std::ffi::{CStr, c_void};
use std::fs;
use std::io::{self, Write as _};
use std::os::fd::{AsRawFd as _, FromRawFd as _, OwnedFd};

use jitcall::engine::TIER_VARIABLE;
use jitcall::{Arch, Engine, Library, Tier};

use crate::Failure;

/// Says what the system allows and which tier the engine uses.
#[derive(clap::Args)]
pub(crate) struct Doctor {}

/// `PR_GET_MDWE` of <linux/prctl.h>, which the libc crate does not name on every target.
const PR_GET_MDWE: libc::c_int = 66;

/// `HWCAP2_BTI` of <asm/hwcap.h>.
#[cfg(target_arch = "aarch64")]
const HWCAP2_BTI: libc::c_ulong = 1 << 17;

impl Doctor {
    pub(crate) fn run(&self) -> Result<(), Failure> {
        // One function is called, so that the figures show an engine at work.
        let abs = Library::process().function("int abs(int)")?;
        // SAFETY: the declaration is that of <stdlib.h>.
        let works = unsafe { abs.call(&[(-1).into()])? };
        let mut output = io::stdout().lock();
        for (title, facts) in [
            ("program", program()),
            ("engine", engine()),
            ("executable memory", memory()),
            ("processor", processor()),
            ("environment", environment()),
        ] {
            writeln!(output, "{title}")?;
            for (name, fact) in facts {
                writeln!(output, "  {name:<26}{fact}")?;
            }
        }
        writeln!(output, "check\n  {:<26}{works}", "abs(-1)")?;
        Ok(())
    }
}

type Facts = Vec<(&'static str, String)>;

fn program() -> Facts {
    vec![
        ("version", env!("CARGO_PKG_VERSION").to_owned()),
        ("architecture", Arch::HOST.to_string()),
        ("kernel", read("/proc/sys/kernel/osrelease").unwrap_or_else(|| "unknown".into())),
        ("page size", format!("{} bytes", page_size())),
    ]
}

fn engine() -> Facts {
    let engine = Engine::global();
    let statistics = engine.statistics();
    vec![
        ("tier", format!("{} ({})", engine.tier(), engine.reason())),
        ("calls go through", calls(engine.tier()).to_owned()),
        ("stubs", statistics.stubs.to_string()),
        ("look-ups", format!("{} found, {} not", statistics.hits, statistics.misses)),
        ("code", format!("{} bytes of {} mapped", statistics.code_bytes, statistics.mapped_bytes)),
        ("limit", format!("{} bytes", statistics.limit)),
    ]
}

fn calls(tier: Tier) -> &'static str {
    match tier {
        Tier::Jit => "machine code made for each shape of signature",
        Tier::Asm => "the trampolines, which are part of the program: slower, and otherwise the same",
    }
}

fn memory() -> Facts {
    vec![
        ("from memfd_create", map_from_memory_file().err().unwrap_or_else(|| "allowed".to_owned())),
        ("anonymous, r-x", allowed(map_anonymous(libc::PROT_READ | libc::PROT_EXEC).map(drop))),
        ("rw-, then r-x", never_used(make_executable())),
        ("rwx", never_used(map_anonymous(libc::PROT_READ | libc::PROT_WRITE | libc::PROT_EXEC).map(drop))),
        ("PR_GET_MDWE", refuses_new_code()),
        ("SELinux", selinux()),
        ("seccomp", seccomp()),
    ]
}

fn environment() -> Facts {
    let value = std::env::var_os(TIER_VARIABLE);
    vec![(TIER_VARIABLE, value.map_or("not set".to_owned(), |value| value.to_string_lossy().into_owned()))]
}

fn allowed(outcome: io::Result<()>) -> String {
    match outcome {
        Ok(()) => "allowed".to_owned(),
        Err(error) => format!("refused: {error}"),
    }
}

/// Of what the engine never asks for.
fn never_used(outcome: io::Result<()>) -> String {
    format!("{} (never used)", allowed(outcome))
}

fn page_size() -> usize {
    // SAFETY: `sysconf` only answers a question.
    let size = unsafe { libc::sysconf(libc::_SC_PAGESIZE) };
    usize::try_from(size).unwrap_or(4096)
}

/// What a JIT without pages that are both writable and executable needs: the one thing that decides on the tier.
///
/// # Errors
/// Which step was refused, with the system's error.
fn map_from_memory_file() -> Result<(), String> {
    let refused = |step| move |error| format!("refused ({step}): {error}");
    let file = create_memory_file().map_err(refused("memfd_create"))?;
    // SAFETY: the descriptor is open.
    if unsafe { libc::ftruncate(file.as_raw_fd(), page_size() as libc::off_t) } != 0 {
        return Err(refused("ftruncate")(io::Error::last_os_error()));
    }
    Page::map(libc::PROT_READ | libc::PROT_EXEC, libc::MAP_SHARED, file.as_raw_fd())
        .map(drop)
        .map_err(refused("mmap to execute"))
}

fn create_memory_file() -> io::Result<OwnedFd> {
    let name: &CStr = c"jitcall-doctor";
    // SAFETY: the name ends in NUL.
    let descriptor = unsafe { libc::memfd_create(name.as_ptr(), libc::MFD_CLOEXEC) };
    if descriptor < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the descriptor is new and belongs to nobody else.
    Ok(unsafe { OwnedFd::from_raw_fd(descriptor) })
}

fn map_anonymous(protection: libc::c_int) -> io::Result<Page> {
    Page::map(protection, libc::MAP_PRIVATE | libc::MAP_ANONYMOUS, -1)
}

/// What a JIT with one mapping does.
fn make_executable() -> io::Result<()> {
    let page = map_anonymous(libc::PROT_READ | libc::PROT_WRITE)?;
    // SAFETY: the page was mapped above and nothing points at it.
    if unsafe { libc::mprotect(page.0, page_size(), libc::PROT_READ | libc::PROT_EXEC) } != 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}

/// A page that was mapped to see whether it can be, and is given back.
struct Page(*mut c_void);

impl Page {
    fn map(protection: libc::c_int, flags: libc::c_int, file: libc::c_int) -> io::Result<Page> {
        // SAFETY: a new mapping at a place of the kernel's choice disturbs no other.
        let page = unsafe { libc::mmap(std::ptr::null_mut(), page_size(), protection, flags, file, 0) };
        if page == libc::MAP_FAILED { Err(io::Error::last_os_error()) } else { Ok(Page(page)) }
    }
}

impl Drop for Page {
    fn drop(&mut self) {
        // SAFETY: the page is this value's own and nothing points at it.
        unsafe { libc::munmap(self.0, page_size()) };
    }
}

/// Whether the kernel refuses memory that is, or was, writable to become executable (prctl(2)).
fn refuses_new_code() -> String {
    // SAFETY: this request only answers a question; its further arguments have to be zero.
    match unsafe { libc::prctl(PR_GET_MDWE, 0, 0, 0, 0) } {
        0 => "0: executable memory may be made".to_owned(),
        flags if flags > 0 => format!("{flags}: refuses to make memory executable, which the JIT does not do"),
        _ => format!("unknown: {}", io::Error::last_os_error()),
    }
}

fn selinux() -> String {
    match read("/sys/fs/selinux/enforce").as_deref() {
        Some("1") => "enforcing".to_owned(),
        Some("0") => "permissive".to_owned(),
        Some(other) => other.to_owned(),
        None => "not in use".to_owned(),
    }
}

fn seccomp() -> String {
    match status("Seccomp").as_deref() {
        Some("0") => "off".to_owned(),
        Some("1") => "strict".to_owned(),
        Some("2") => format!("filter ({} of them)", status("Seccomp_filters").unwrap_or_else(|| "some".to_owned())),
        Some(other) => other.to_owned(),
        None => "unknown".to_owned(),
    }
}

#[cfg(target_arch = "x86_64")]
fn processor() -> Facts {
    let features = status("x86_Thread_features").unwrap_or_else(|| "not reported by the kernel".to_owned());
    let flags = read("/proc/cpuinfo").unwrap_or_default();
    let flags: Vec<&str> = flags.lines().find(|line| line.starts_with("flags")).unwrap_or("").split(' ').collect();
    let has = |flag: &str| if flags.contains(&flag) { "yes" } else { "no" };
    let detected = |yes: bool| if yes { "yes" } else { "no" }.to_owned();
    vec![
        ("AVX", detected(std::arch::is_x86_feature_detected!("avx"))),
        ("AVX2", detected(std::arch::is_x86_feature_detected!("avx2"))),
        ("CET", format!("shadow stack: {}, indirect branch tracking: {}", has("user_shstk"), has("ibt"))),
        ("CET of this thread", if features.is_empty() { "none".to_owned() } else { features }),
    ]
}

#[cfg(target_arch = "aarch64")]
fn processor() -> Facts {
    // SAFETY: `getauxval` only answers a question.
    let capabilities = unsafe { libc::getauxval(libc::AT_HWCAP2) };
    vec![("BTI", if capabilities & HWCAP2_BTI != 0 { "yes" } else { "no" }.to_owned())]
}

/// A file of one value.
fn read(path: &str) -> Option<String> {
    Some(fs::read_to_string(path).ok()?.trim_end().to_owned())
}

/// A line of /proc/self/status.
fn status(name: &str) -> Option<String> {
    let status = read("/proc/self/status")?;
    status.lines().find_map(|line| Some(line.strip_prefix(name)?.strip_prefix(':')?.trim().to_owned()))
}
