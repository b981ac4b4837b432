//! The engine: a tier, the store of stubs, and the way from a signature to something that can be called.

use std::ffi::c_void;
use std::sync::{Arc, OnceLock};
use std::{env, fmt};

use crate::abi::{Convention, Plan, Shape, Width};
use crate::bridge::{Bridge, Spec};
use crate::closure::CallbackInterface;
use crate::code::profile::{BridgeName, EntryName, MapName, StubName};
use crate::code::unwind::FrameKind;
use crate::code::{CodeStore, fork};
use crate::emit::bridge::Blueprint;
use crate::emit::{self, Steps};
use crate::errno;
use crate::error::{Error, Result, explain};
use crate::guard;
use crate::interface::{CallInterface, Entry};
use crate::map;
use crate::types::Arch;
use crate::types::signature::Signature;

/// The variable that chooses the tier of engines that are not told one: `jit` or `asm`.
pub const TIER_VARIABLE: &str = "JITCALL_TIER";

/// The variable that says which tools are told of machine code: some of `perf-map`, `jitdump` and `gdb`, with commas
/// between them. An engine reads it when it is made.
pub const PROFILE_VARIABLE: &str = "JITCALL_PROFILE";

/// The limit on memory for machine code where none is set: 64 MiB.
pub const DEFAULT_CODE_LIMIT: usize = 64 << 20;

/// How calls reach C.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Tier {
    /// Through machine code made at run time for the signature.
    Jit,
    /// Through the hand-written trampolines in `asm/`, which follow a plan: where executable memory is refused.
    Asm,
}

impl fmt::Display for Tier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Tier::Jit => "jit",
            Tier::Asm => "asm",
        })
    }
}

/// Makes and keeps call stubs. Clones share everything; stubs live as long as any of them, or anything bound with
/// them.
///
/// Most programs use [`Engine::global`], as [`Library`](crate::Library) does by itself.
#[derive(Clone)]
pub struct Engine {
    inner: Arc<Inner>,
}

struct Inner {
    tier: Tier,
    /// Whether the engine was left to choose its tier.
    automatic: bool,
    reason: String,
    limit: usize,
    /// Absent on the tier without a JIT.
    store: Option<CodeStore>,
}

impl Engine {
    /// The engine that the process shares. Its tier is what [`TIER_VARIABLE`] says, else the JIT where the system
    /// allows executable memory.
    pub fn global() -> &'static Engine {
        static GLOBAL: OnceLock<Engine> = OnceLock::new();
        GLOBAL.get_or_init(|| Builder::default().build_automatic())
    }

    /// Starts an engine of one's own.
    ///
    /// ```
    /// use jitcall::{Engine, Tier};
    /// let engine = Engine::builder().tier(Tier::Asm).build()?;
    /// assert_eq!(engine.tier(), Tier::Asm);
    /// # Ok::<(), jitcall::Error>(())
    /// ```
    pub fn builder() -> Builder {
        Builder::default()
    }

    /// The tier in use.
    pub fn tier(&self) -> Tier {
        self.inner.tier
    }

    /// Why it is in use.
    pub fn reason(&self) -> &str {
        &self.inner.reason
    }

    /// What is needed to call functions of that signature: the plan, and on the JIT tier a stub, which is shared with
    /// all signatures of the same shape. An engine that was left to choose its tier does without a stub where the system
    /// has come to refuse executable memory, as in a sandbox that the process has entered since.
    ///
    /// # Errors
    /// [`Error::Unsupported`] where this machine cannot pass a type, [`Error::CodeLimit`] where there is no room for a
    /// stub. [`Error::CodeMemory`] where the system refuses memory for one and [`Tier::Jit`] was asked for.
    pub fn prepare(&self, signature: &Signature) -> Result<CallInterface> {
        let plan = self.plan(signature)?;
        let stub = |store: &CodeStore| {
            let (frame, name) = (FrameKind::of(&plan), StubName(signature));
            let stub = store.stub(plan.shape(), frame, &name, |code| emit::call_stub_into(&plan, code))?;
            // SAFETY: the entry is that of a call stub, which `call_stub_into` emitted for this shape.
            Ok(Entry::Stub(unsafe { stub.function() }))
        };
        let entry = match self.inner.store.as_ref().map(stub) {
            Some(Err(Error::CodeMemory { .. })) if self.inner.automatic => Entry::Trampoline,
            Some(entry) => entry?,
            None => Entry::Trampoline,
        };
        Ok(CallInterface::new(self.clone(), plan, entry))
    }

    /// Where everything goes in calls of that signature.
    ///
    /// # Errors
    /// [`Error::Unsupported`] where this machine cannot pass a type.
    pub(crate) fn plan(&self, signature: &Signature) -> Result<Plan> {
        let plan = Plan::new(signature, Convention::of_signature(signature, Arch::HOST)?)?;
        check_vectors(&plan)?;
        Ok(plan)
    }

    /// The address of a stub.
    ///
    /// # Errors
    /// As for [`Engine::prepare`]; [`Error::Unsupported`] on the tier without a JIT.
    pub(crate) fn stub(
        &self,
        shape: &Shape,
        frame: FrameKind,
        name: &dyn fmt::Display,
        emit: impl FnOnce(&mut Vec<u8>) -> Result<()>,
    ) -> Result<*const c_void> {
        Ok(self.store()?.stub(shape, frame, name, emit)?.entry().as_ptr().cast())
    }

    /// What is needed to make closures of that signature.
    ///
    /// # Errors
    /// As for [`Engine::prepare`]; [`Error::Unsupported`] for a variadic signature too.
    pub fn prepare_callback(&self, signature: &Signature) -> Result<CallbackInterface> {
        CallbackInterface::new(self, signature)
    }

    /// A bridge stub: machine code that a host calls as one of its own native functions, and that calls functions of the
    /// signature `callee`. It is shared with all signatures that need the same code.
    ///
    /// # Errors
    /// [`Error::Unsupported`] where the specification does not fit the signature, there is no conversion of a payload to
    /// the type of its argument, or the engine is on the tier without a JIT. [`Error::CodeLimit`] and
    /// [`Error::CodeMemory`] where there is no room for the stub.
    pub fn bridge(&self, spec: &Spec, callee: &Signature) -> Result<Bridge> {
        let store = self.store()?;
        let errno = errno::thread_offset().ok_or_else(|| Error::unsupported("errno far from the thread pointer"))?;
        let convention = Convention::of_signature(callee, Arch::HOST)?;
        if convention != Convention::HOST {
            return Err(Error::unsupported(format!("a bridge to {callee}: it is not of C's own convention")));
        }
        let blueprint = Blueprint::new(spec, callee, convention, errno)?;
        let (shape, name) = (blueprint.shape(), BridgeName(callee));
        let stub = store.stub(&shape, FrameKind::Framed, &name, |code| emit::bridge_stub_into(&blueprint, code))?;
        Ok(Bridge::new(self.clone(), stub.entry(), blueprint))
    }

    /// The map stubs of a signature; `None` where its calls are made one by one.
    ///
    /// # Errors
    /// As for [`Engine::prepare`].
    pub(crate) fn map_stubs(&self, signature: &Signature, plan: &Plan) -> Result<Option<map::Stubs>> {
        let Some(dense) = emit::map::Blueprint::new(signature, plan, Steps::Dense) else { return Ok(None) };
        let strided = dense.with(Steps::Strided);
        let stubs = self.map_stub(signature, &dense).and_then(|dense| {
            let strided = self.map_stub(signature, &strided)?;
            Ok(map::Stubs { dense, strided })
        });
        match stubs {
            Err(Error::CodeMemory { .. }) if self.inner.automatic => Ok(None),
            stubs => stubs.map(Some),
        }
    }

    fn map_stub(&self, signature: &Signature, blueprint: &emit::map::Blueprint<'_>) -> Result<map::MapFunction> {
        let (shape, name) = (blueprint.shape(), MapName(signature));
        let emit = |code: &mut Vec<u8>| emit::map_stub_into(blueprint, code);
        let stub = self.store()?.stub(&shape, FrameKind::Saving, &name, emit)?;
        // SAFETY: the entry is that of a map stub; what is made of it keeps the engine.
        Ok(unsafe { map::function(stub.entry()) })
    }

    /// The store of stubs.
    fn store(&self) -> Result<&CodeStore> {
        self.inner.store.as_ref().ok_or_else(|| Error::unsupported("machine code without a JIT"))
    }

    /// Whether it goes without the JIT where the system refuses memory that it needs.
    pub(crate) fn is_automatic(&self) -> bool {
        self.inner.automatic
    }

    /// The entry that gathers arguments by that plan.
    ///
    /// # Errors
    /// As for [`Engine::prepare`]; [`Error::Unsupported`] on the tier without a JIT.
    pub(crate) fn entry(&self, signature: &Signature, plan: &Plan) -> Result<*const c_void> {
        let (shape, name) = (plan.entry_shape(), EntryName(signature));
        self.stub(&shape, FrameKind::Framed, &name, |code| emit::closure_entry_into(plan, code))
    }

    /// Checks with the system that no memory for machine code is writable where it is executable.
    ///
    /// # Errors
    /// [`Error::CodeMemory`] naming the first mapping that is other than it should be.
    pub fn audit(&self) -> Result<()> {
        self.inner.store.as_ref().map_or(Ok(()), CodeStore::audit)
    }

    /// How the cache and the code memory are used; all zero on the tier without a JIT.
    pub fn statistics(&self) -> Statistics {
        match &self.inner.store {
            Some(store) => store.statistics(),
            None => Statistics { limit: self.inner.limit, ..Statistics::default() },
        }
    }
}

impl fmt::Debug for Engine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Engine").field("tier", &self.tier()).field("statistics", &self.statistics()).finish()
    }
}

/// A 32-byte vector travels in a ymm register, which is there with AVX only.
pub(crate) fn check_vectors(plan: &Plan) -> Result<()> {
    let wide =
        plan.moves.iter().any(|value| value.width == Width::B32) || plan.result.parts().any(|part| part.size == 32);
    #[cfg(target_arch = "x86_64")]
    if wide && !std::arch::is_x86_feature_detected!("avx") {
        return Err(Error::unsupported("vectors of 32 bytes need AVX, which this processor does not have"));
    }
    #[cfg(not(target_arch = "x86_64"))]
    if wide {
        return Err(Error::unsupported("a vector register of 32 bytes"));
    }
    Ok(())
}

/// How an engine uses its memory.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Statistics {
    /// Look-ups that found a stub.
    pub hits: u64,
    /// Look-ups that found none, so that one was made.
    pub misses: u64,
    /// Stubs in the cache.
    pub stubs: usize,
    /// Bytes of machine code, padding between stubs included.
    pub code_bytes: usize,
    /// Bytes of memory mapped for machine code; each is mapped twice while it is being filled.
    pub mapped_bytes: usize,
    /// Bytes of the cache's own: its tables, and the shapes in it.
    pub cache_bytes: usize,
    /// Bytes mapped for closure entries and their records, by all engines of the process.
    pub entry_bytes: usize,
    /// The most bytes that may be mapped for machine code.
    pub limit: usize,
}

/// Sets up an [`Engine`].
#[derive(Clone, Debug)]
pub struct Builder {
    tier: Option<Tier>,
    limit: usize,
}

impl Default for Builder {
    fn default() -> Self {
        Builder { tier: None, limit: DEFAULT_CODE_LIMIT }
    }
}

impl Builder {
    /// Asks for a tier, whatever [`TIER_VARIABLE`] says.
    #[must_use]
    pub fn tier(mut self, tier: Tier) -> Self {
        self.tier = Some(tier);
        self
    }

    /// Limits the memory for machine code, in bytes; it is taken in pages.
    #[must_use]
    pub fn code_limit(mut self, bytes: usize) -> Self {
        self.limit = bytes;
        self
    }

    /// Makes the engine.
    ///
    /// # Errors
    /// [`Error::CodeMemory`] where [`Tier::Jit`] was asked for and the system refuses executable memory. An engine
    /// that was not told a tier falls back on [`Tier::Asm`] instead.
    pub fn build(self) -> Result<Engine> {
        match self.tier {
            Some(Tier::Jit) => Ok(self.with_store(CodeStore::new(self.limit)?, "asked for by the program")),
            Some(Tier::Asm) => Ok(self.without_store("asked for by the program".into())),
            None => Ok(self.build_automatic()),
        }
    }

    fn build_automatic(self) -> Engine {
        let asked = env::var(TIER_VARIABLE).ok();
        if asked.as_deref() == Some("asm") {
            return self.without_store(format!("{TIER_VARIABLE}=asm"));
        }
        match (CodeStore::new(self.limit), asked.as_deref()) {
            (Ok(store), Some("jit")) => self.with_store(store, &format!("{TIER_VARIABLE}=jit")),
            (Ok(store), None | Some("")) => self.with_store(store, "the system allows executable memory"),
            (Ok(store), Some(other)) => {
                self.with_store(store, &format!("{TIER_VARIABLE}={other} is neither jit nor asm and was ignored"))
            }
            (Err(error), _) => self.without_store(explain(&error)),
        }
    }

    fn with_store(&self, store: CodeStore, reason: &str) -> Engine {
        self.finish(Tier::Jit, reason.to_owned(), Some(store))
    }

    fn without_store(&self, reason: String) -> Engine {
        self.finish(Tier::Asm, reason, None)
    }

    fn finish(&self, tier: Tier, reason: String, store: Option<CodeStore>) -> Engine {
        guard::report_crashes_if_asked();
        // Without a JIT as well: pools and closures have a part in forks, too.
        fork::prepare();
        let automatic = self.tier.is_none();
        Engine { inner: Arc::new(Inner { tier, automatic, reason, limit: self.limit, store }) }
    }
}

/// The type of every call stub: slots, context, result buffer. Results in registers flow back to the caller, who casts
/// the stub to a function that returns in those registers.
pub(crate) type StubFunction = unsafe extern "C-unwind" fn(*const crate::Slot, *const c_void, *mut u8);
