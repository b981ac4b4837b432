//! Bound functions: call them with values, with slots, or typed.

use std::ffi::c_void;
use std::fmt;
use std::marker::PhantomData;
use std::mem::MaybeUninit;
use std::sync::{Arc, OnceLock};

use crate::abi::Carrier;
use crate::closure::failure::{Outer, is_any_parked, take_failure};
use crate::ctype::{CArguments, CType, check_result, check_types};
use crate::engine::{Engine, StubFunction};
use crate::errno::Errno;
use crate::error::{Error, Mismatch, Result};
use crate::interface::{Bound, CallInterface, Fprs, Gprs, Mixed, returning};
use crate::library::Library;
use crate::map::{self, Column, Map, Slices};
use crate::types::signature::Signature;
use crate::types::{Arch, Float, Type, layout};
use crate::value::{self, Object, Slot, SlotBuffer, Value};

/// A C function with its signature, ready to be called. Clones share it.
///
/// It keeps its library open and its stub alive. Calling it is `unsafe`, because nothing can check that the
/// declaration is the function's own, or that a pointer is what the function wants. Everything else is checked:
/// [`Function::call`] refuses arguments that do not fit the declaration.
///
/// ```
/// use jitcall::{Library, Value};
/// // SAFETY: libm has no initialisers that could do harm.
/// let libm = unsafe { Library::open("libm.so.6")? };
/// let pow = libm.function("double pow(double, double)")?;
/// // SAFETY: that is how <math.h> declares it.
/// let power = unsafe { pow.call(&[2.0.into(), 10.into()])? };
/// assert_eq!(power, Value::F64(1024.0));
/// # Ok::<(), jitcall::Error>(())
/// ```
#[derive(Clone)]
pub struct Function {
    inner: Arc<Inner>,
}

struct Inner {
    bound: Bound,
    interface: CallInterface,
    parameters: Box<[Kind]>,
    result: Kind,
    /// Whether no type is [`Kind::Other`] and the slots need no heap.
    direct: bool,
    /// Where words of an [`Kind::Object`] result come back; `None` where registers hold less than a word each.
    carrier: Option<Carrier>,
    result_layout: layout::Layout,
    signature: Signature,
    target: *const c_void,
    library: Option<Library>,
    /// What its maps go by, from the first on.
    map: OnceLock<Box<Map>>,
}

// SAFETY: nothing changes after creation; addresses of code may be used from any thread.
unsafe impl Send for Inner {}
// SAFETY: as above.
unsafe impl Sync for Inner {}

/// What the way between a [`Value`] and a register depends on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Void,
    Bool,
    I8,
    U8,
    I16,
    U16,
    I32,
    U32,
    I64,
    U64,
    F32,
    F64,
    Pointer,
    /// An aggregate or vector that needs no heap as an [`Object`].
    Object,
    /// Everything else goes by way of its bytes.
    Other,
}

impl Kind {
    pub(crate) fn of(ty: &Type) -> Kind {
        let integer = ty.as_integer().map(|integer| (integer.size(), integer.is_signed(Arch::HOST)));
        match (ty, integer) {
            (Type::Void, _) => Kind::Void,
            (Type::Bool, _) => Kind::Bool,
            (_, Some((1, true))) => Kind::I8,
            (_, Some((1, false))) => Kind::U8,
            (_, Some((2, true))) => Kind::I16,
            (_, Some((2, false))) => Kind::U16,
            (_, Some((4, true))) => Kind::I32,
            (_, Some((4, false))) => Kind::U32,
            (_, Some((8, true))) => Kind::I64,
            (_, Some((8, false))) => Kind::U64,
            (Type::Float(Float::F32), _) => Kind::F32,
            (Type::Float(Float::F64), _) => Kind::F64,
            (Type::Pointer(_), _) => Kind::Pointer,
            (Type::Aggregate(_) | Type::Vector(_), _) if fits_in_words(ty) => Kind::Object,
            _ => Kind::Other,
        }
    }

    /// The slot for a value that is just of this type; `None` where it has to be converted.
    #[inline(always)]
    pub(crate) fn slot(self, value: &Value<'_>) -> Option<Slot> {
        Some(match (self, value) {
            (Kind::I32, Value::I32(value)) => Slot::from(*value),
            (Kind::U32, Value::U32(value)) => Slot::from(*value),
            (Kind::I64, Value::I64(value)) => Slot::from(*value),
            (Kind::U64, Value::U64(value)) => Slot::from(*value),
            (Kind::F32, Value::F32(value)) => Slot::from(*value),
            (Kind::F64, Value::F64(value)) => Slot::from(*value),
            (Kind::Pointer, Value::Pointer(value)) => Slot::from(*value),
            (Kind::Bool, Value::Bool(value)) => Slot::from(*value),
            (Kind::I8, Value::I8(value)) => Slot::from(*value),
            (Kind::U8, Value::U8(value)) => Slot::from(*value),
            (Kind::I16, Value::I16(value)) => Slot::from(*value),
            (Kind::U16, Value::U16(value)) => Slot::from(*value),
            _ => return None,
        })
    }

    /// The value in a general register, of which as many low bits are defined as the type has.
    #[inline(always)]
    pub(crate) fn value(self, bits: u64) -> Value<'static> {
        match self {
            Kind::Bool => Value::Bool(bits as u8 != 0),
            Kind::I8 => Value::I8(bits as i8),
            Kind::U8 => Value::U8(bits as u8),
            Kind::I16 => Value::I16(bits as i16),
            Kind::U16 => Value::U16(bits as u16),
            Kind::I32 => Value::I32(bits as i32),
            Kind::U32 => Value::U32(bits as u32),
            Kind::I64 => Value::I64(bits as i64),
            Kind::U64 => Value::U64(bits),
            _ => Value::Pointer(std::ptr::with_exposed_provenance_mut(bits as usize)),
        }
    }
}

impl Function {
    /// Binds the function at `target` in the process's shared engine.
    ///
    /// # Errors
    /// As for [`Engine::prepare`].
    pub fn new(target: *const c_void, signature: Signature) -> Result<Function> {
        Function::with_engine(Engine::global(), target, signature)
    }

    /// Binds the function at `target` in an engine.
    ///
    /// # Errors
    /// As for [`Engine::prepare`].
    pub fn with_engine(engine: &Engine, target: *const c_void, signature: Signature) -> Result<Function> {
        Function::bind(engine, target, signature, None)
    }

    pub(crate) fn bind(
        engine: &Engine,
        target: *const c_void,
        signature: Signature,
        library: Option<Library>,
    ) -> Result<Function> {
        let interface = engine.prepare(&signature)?;
        let parameters: Box<[Kind]> = signature.parameters().iter().map(|parameter| Kind::of(&parameter.ty)).collect();
        let result_layout = match signature.result() {
            Type::Void => layout::Layout { size: 0, align: 1 },
            ty => layout::of(ty, Arch::HOST)?,
        };
        let (bound, result) = (interface.bind(target), Kind::of(signature.result()));
        let result_plan = &interface.plan().result;
        let words = result_plan.parts().zip(0..).all(|(part, word)| part.offset == 8 * word);
        let carrier = words.then(|| result_plan.carrier());
        let direct =
            !parameters.contains(&Kind::Other) && result != Kind::Other && interface.slots() <= SlotBuffer::INLINE;
        let map = OnceLock::new();
        let inner = Inner {
            bound,
            interface,
            parameters,
            result,
            direct,
            carrier,
            result_layout,
            signature,
            target,
            library,
            map,
        };
        Ok(Function { inner: Arc::new(inner) })
    }

    /// What it was declared as.
    pub fn signature(&self) -> &Signature {
        &self.inner.signature
    }

    /// Its address.
    pub fn target(&self) -> *const c_void {
        self.inner.target
    }

    /// The library that it keeps open.
    pub fn library(&self) -> Option<&Library> {
        self.inner.library.as_ref()
    }

    /// What calls of it go by.
    pub fn interface(&self) -> &CallInterface {
        &self.inner.interface
    }

    /// Its stub, and what that is told of the target.
    pub(crate) fn bound(&self) -> &Bound {
        &self.inner.bound
    }

    /// Calls it with values, which are checked against the declaration and converted where that loses nothing.
    ///
    /// Does not allocate for calls of up to [`SlotBuffer::INLINE`] slots with results of up to 32 bytes. A function
    /// declared with `...` is called without variadic arguments.
    ///
    /// # Errors
    /// [`Error::ArgumentCount`] and [`Error::Argument`]; then nothing was called.
    ///
    /// # Safety
    /// The declaration is the function's own; pointers among the arguments are what the function wants, for as long
    /// as it uses them.
    pub unsafe fn call(&self, arguments: &[Value<'_>]) -> Result<Value<'static>> {
        // SAFETY: the caller keeps the same promises.
        unsafe { self.call_between(arguments, || (), || ()) }
    }

    /// Calls it as [`Function::call`] does, and gives the `errno` that the call left: it is 0 when the function is
    /// entered, and read before anything else can change it.
    ///
    /// # Errors
    /// As for [`Function::call`].
    ///
    /// # Safety
    /// As for [`Function::call`].
    pub unsafe fn call_with_errno(&self, arguments: &[Value<'_>]) -> Result<(Value<'static>, Errno)> {
        let mut errno = Errno(0);
        // SAFETY: the caller keeps the same promises.
        let value = unsafe { self.call_between(arguments, || Errno(0).set(), || errno = Errno::get())? };
        Ok((value, errno))
    }

    /// Calls a variadic function: the fixed arguments, then those that stand for the `...`, whose C types are those
    /// of the values, promoted as C promotes them.
    ///
    /// The stub for each combination of types is made once and then found in the cache; this allocates. For many
    /// calls with the same types, [`Function::with_tail`] prepares once.
    ///
    /// # Errors
    /// As for [`Function::call`]; also where the function is not variadic, or a value has no C type of its own.
    ///
    /// # Safety
    /// As for [`Function::call`]; and the function has to know the types of the variadic arguments.
    pub unsafe fn call_variadic(&self, fixed: &[Value<'_>], tail: &[Value<'_>]) -> Result<Value<'static>> {
        let types = self.tail_types(fixed.len(), tail)?;
        let arguments: Vec<Value<'_>> = fixed.iter().chain(tail).cloned().collect();
        // SAFETY: the caller keeps the same promises.
        unsafe { self.with_tail(types)?.call(&arguments) }
    }

    /// [`Function::call_variadic`] with the `errno` of the call, as in [`Function::call_with_errno`].
    ///
    /// # Errors
    /// As for [`Function::call_variadic`].
    ///
    /// # Safety
    /// As for [`Function::call_variadic`].
    pub unsafe fn call_variadic_with_errno(
        &self,
        fixed: &[Value<'_>],
        tail: &[Value<'_>],
    ) -> Result<(Value<'static>, Errno)> {
        let types = self.tail_types(fixed.len(), tail)?;
        let arguments: Vec<Value<'_>> = fixed.iter().chain(tail).cloned().collect();
        // SAFETY: the caller keeps the same promises.
        unsafe { self.with_tail(types)?.call_with_errno(&arguments) }
    }

    /// The C types of variadic arguments that follow `given` fixed ones.
    fn tail_types(&self, given: usize, tail: &[Value<'_>]) -> Result<Vec<Type>> {
        let fixed = self.inner.signature.fixed();
        if self.inner.signature.is_variadic() && given != fixed {
            return Err(self.count_error(fixed, given));
        }
        let types = tail.iter().enumerate().map(|(index, value)| {
            value.c_type().ok_or_else(|| {
                let declared = "a value with a C type of its own".to_owned();
                let place = (fixed + index + 1).to_string();
                let reason = "a variadic argument has no declared type".to_owned();
                self.argument_error(Mismatch { place, declared, given: value.describe(), reason })
            })
        });
        types.collect()
    }

    /// The same function for calls with variadic arguments of these types.
    ///
    /// # Errors
    /// [`Error::Type`] where the function is not variadic or a type cannot be passed.
    pub fn with_tail(&self, tail: impl IntoIterator<Item = Type>) -> Result<Function> {
        let signature = self.inner.signature.with_tail(tail)?;
        Function::bind(self.inner.interface.engine(), self.inner.target, signature, self.inner.library.clone())
    }

    /// Calls it with slots: no checks, no allocation.
    ///
    /// # Safety
    /// As for [`CallInterface::call`].
    #[inline]
    pub unsafe fn call_slots(&self, arguments: *const Slot, result: *mut u8) {
        let Bound { stub, context, .. } = self.inner.bound;
        // SAFETY: the caller keeps the promises that `invoke` asks for; stub and context are the target's.
        unsafe { self.inner.interface.invoke(stub, context, arguments, result) }
    }

    /// The fastest dynamic way in: arguments in slots, the result as a Rust type, which is checked here once.
    ///
    /// # Errors
    /// [`Error::Typed`] where `R` is not the declared result type.
    pub fn slots<R: CType>(&self) -> Result<SlotFunction<R>> {
        check_result::<R>(&self.inner.signature)?;
        let Bound { stub, context, .. } = self.inner.bound;
        let in_memory = self.inner.interface.plan().result.carrier() == Carrier::Buffer;
        Ok(SlotFunction { stub, context, in_memory, function: self.clone(), result: PhantomData })
    }

    /// The function as a Rust function with these parameters and that result: checked here once against the
    /// declaration, then called directly, without a stub.
    ///
    /// ```
    /// # use jitcall::Library;
    /// # // SAFETY: libm has no initialisers that could do harm.
    /// let libm = unsafe { Library::open("libm.so.6")? };
    /// let pow = libm.function("double pow(double, double)")?.typed::<(f64, f64), f64>()?;
    /// // SAFETY: that is how <math.h> declares it.
    /// assert_eq!(unsafe { pow.call((2.0, 10.0)) }, 1024.0);
    /// # Ok::<(), jitcall::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::Typed`] where a type is not the declared one, or the function is variadic. [`Error::Unsupported`] where it
    /// is not of C's own convention: then a call goes by slots or values.
    pub fn typed<A: CArguments, R: CType>(&self) -> Result<TypedFunction<A, R>> {
        if let Some(convention) = self.inner.signature.convention() {
            return Err(Error::unsupported(format!("{}: typed calls by {convention}", self.inner.signature.title())));
        }
        check_types::<A, R>(&self.inner.signature)?;
        let types = PhantomData;
        Ok(TypedFunction { target: self.inner.target.cast(), function: self.clone(), types })
    }

    /// Calls it `count` times. The i-th call takes the i-th element of each column, and its result goes to the i-th place
    /// of `results`, which may be null where there are none: see [`Map::call`] and [`crate::map`].
    ///
    /// A function declared with `...` is called without variadic arguments.
    ///
    /// ```
    /// # use jitcall::Library;
    /// use jitcall::map::Column;
    /// # // SAFETY: libm has no initialisers that could do harm.
    /// let libm = unsafe { Library::open("libm.so.6")? };
    /// let pow = libm.function("double pow(double, double)")?;
    /// let (bases, exponent, mut powers) = ([2.0, 3.0, 4.0], 2.0, [0.0; 3]);
    /// let columns = [Column::of(&bases), Column::same(&exponent)];
    /// // SAFETY: that is how <math.h> declares it; there are three bases, and room for three results.
    /// unsafe { pow.map(3, &columns, powers.as_mut_ptr().cast())? };
    /// assert_eq!(powers, [4.0, 9.0, 16.0]);
    /// # Ok::<(), jitcall::Error>(())
    /// ```
    ///
    /// # Errors
    /// As for [`Map::call`]; the first time, as for [`Engine::prepare`] too.
    ///
    /// # Safety
    /// As for [`Map::call`]; the declaration is the function's own.
    pub unsafe fn map(&self, count: usize, columns: &[Column], results: *mut u8) -> Result<()> {
        // SAFETY: the caller keeps the same promises.
        unsafe { self.mapper()?.call(self.inner.target, count, columns, results) }
    }

    /// [`Function::map`] with Rust's types: calls it for each element of `results`, which is where the result goes, with
    /// the same element of each slice. All of them are checked.
    ///
    /// # Errors
    /// As for [`Function::map`]; [`Error::Typed`] where a type is not the declared one, [`Error::Argument`] where a slice
    /// has not as many elements as `results`. Then nothing was called.
    ///
    /// # Safety
    /// The declaration is the function's own; pointers among the arguments are what the function wants. The function
    /// writes nothing to the slices.
    pub unsafe fn map_into<S: Slices, R: CType>(&self, arguments: S, results: &mut [R]) -> Result<()> {
        let columns = map::checked(&self.inner.signature, arguments, results)?;
        // SAFETY: types and lengths are as they should be; the caller answers for the declaration.
        unsafe { self.map(results.len(), &columns, results.as_mut_ptr().cast()) }
    }

    /// What its maps go by, for other functions of its signature too. The first call prepares it.
    ///
    /// # Errors
    /// As for [`Engine::prepare`].
    pub fn mapper(&self) -> Result<&Map> {
        if let Some(map) = self.inner.map.get() {
            return Ok(map);
        }
        let map = self.inner.interface.engine().prepare_map(&self.inner.signature)?;
        Ok(self.inner.map.get_or_init(|| Box::new(map)))
    }

    /// Calls with values; `before` and `after` run when nothing else happens between them but the call.
    ///
    /// # Safety
    /// As for [`Function::call`].
    #[inline(always)]
    unsafe fn call_between(
        &self,
        arguments: &[Value<'_>],
        before: impl FnOnce(),
        after: impl FnOnce(),
    ) -> Result<Value<'static>> {
        if is_any_parked() {
            // SAFETY: the caller keeps the same promises.
            return unsafe { self.call_beside_a_failure(arguments, before, after) };
        }
        // SAFETY: the caller keeps the same promises.
        unsafe { self.call_checked(arguments, before, after) }
    }

    /// Calls where some thread has a failure parked: if it is this one, it is of an outer call, which will report it.
    ///
    /// # Safety
    /// As for [`Function::call`].
    #[cold]
    unsafe fn call_beside_a_failure(
        &self,
        arguments: &[Value<'_>],
        before: impl FnOnce(),
        after: impl FnOnce(),
    ) -> Result<Value<'static>> {
        let _outer = Outer::begin();
        // SAFETY: the caller keeps the same promises.
        unsafe { self.call_checked(arguments, before, after) }
    }

    /// Calls, and looks for failures of callbacks below the call.
    ///
    /// # Safety
    /// As for [`Function::call`].
    #[inline(always)]
    unsafe fn call_checked(
        &self,
        arguments: &[Value<'_>],
        before: impl FnOnce(),
        after: impl FnOnce(),
    ) -> Result<Value<'static>> {
        let inner = &*self.inner;
        if inner.direct {
            let mut slots = [Slot::EMPTY; SlotBuffer::INLINE];
            if inner.fill_direct(arguments, &mut slots) {
                before();
                // SAFETY: the slots hold arguments of the declared types, and the caller answers for the declaration.
                return unsafe { inner.call_direct(slots.as_ptr(), after) };
            }
        }
        // SAFETY: the caller keeps the same promises.
        unsafe { self.call_any(arguments, before, after) }
    }

    /// Calls where something has to be converted, or goes by way of its bytes.
    ///
    /// # Safety
    /// As for [`Function::call`].
    #[inline(never)]
    unsafe fn call_any(
        &self,
        arguments: &[Value<'_>],
        before: impl FnOnce(),
        after: impl FnOnce(),
    ) -> Result<Value<'static>> {
        let mut slots = SlotBuffer::new(self.inner.interface.slots());
        self.fill(arguments, &mut slots)?;
        before();
        // SAFETY: the slots hold arguments of the declared types; the caller answers for the declaration.
        unsafe { self.call_converted(&mut slots, after) }
    }

    /// Converts the arguments of a call that is made later. Pointers among the slots are those of the arguments.
    pub(crate) fn convert(&self, arguments: &[Value<'_>]) -> Result<SlotBuffer> {
        let mut slots = SlotBuffer::new(self.inner.interface.slots());
        self.fill(arguments, &mut slots)?;
        Ok(slots)
    }

    /// Calls with arguments that are in their slots; `after` runs when nothing else has happened since the call.
    ///
    /// # Safety
    /// As for [`Function::call`]; the slots are what [`Function::convert`] or [`Function::fill`] made of its arguments.
    #[inline(always)]
    pub(crate) unsafe fn call_converted(&self, slots: &mut SlotBuffer, after: impl FnOnce()) -> Result<Value<'static>> {
        // SAFETY: the caller answers for the slots and the declaration.
        unsafe {
            match self.inner.result {
                Kind::Other => self.call_other(slots.as_mut_ptr(), after),
                _ => self.inner.call_direct(slots.as_mut_ptr(), after),
            }
        }
    }

    /// Converts the arguments into their slots.
    #[inline(always)]
    fn fill(&self, arguments: &[Value<'_>], slots: &mut SlotBuffer) -> Result<()> {
        let inner = &*self.inner;
        if arguments.len() != inner.parameters.len() {
            return Err(self.count_error(inner.parameters.len(), arguments.len()));
        }
        let offsets = inner.interface.slot_offsets();
        let start = slots.as_mut_ptr();
        for (index, ((value, kind), offset)) in arguments.iter().zip(&inner.parameters).zip(offsets).enumerate() {
            match kind.slot(value) {
                // SAFETY: the plan's offsets lie within its slots, and the buffer has as many.
                Some(slot) => unsafe { start.add(*offset as usize / 8).write(slot) },
                None => self.fill_other(index, value, *offset as usize, slots)?,
            }
        }
        Ok(())
    }

    /// Converts an argument by way of its bytes.
    fn fill_other(&self, index: usize, value: &Value<'_>, offset: usize, slots: &mut SlotBuffer) -> Result<()> {
        let ty = &self.inner.signature.parameters()[index].ty;
        if let Value::Object(object) = value
            && object.ty() == ty
        {
            slots.write_bytes(offset, object.bytes());
            return Ok(());
        }
        let size = layout::of(ty, Arch::HOST)?.size;
        let bytes = slots.bytes_mut(offset, size);
        bytes.fill(MaybeUninit::new(0));
        // SAFETY: all bytes have just been written.
        let bytes = unsafe { &mut *(std::ptr::from_mut(bytes) as *mut [u8]) };
        value::write(ty, value, bytes).map_err(|mut mismatch| {
            mismatch.place.insert_str(0, &self.inner.signature.place(index));
            self.argument_error(mismatch)
        })
    }

    /// Calls a function whose result goes by way of its bytes.
    ///
    /// # Safety
    /// As for [`CallInterface::call`], but for the result.
    unsafe fn call_other(&self, slots: *const Slot, after: impl FnOnce()) -> Result<Value<'static>> {
        self.receive(|result| {
            // SAFETY: there is room for the result; the caller answers for the rest.
            unsafe { self.call_slots(slots, result) };
            after();
            self.inner.check_callbacks()
        })
    }

    /// Converts the arguments, and has `call` make the call: from the slots, to room for the result.
    ///
    /// # Errors
    /// As for [`Function::call`], and those of `call`.
    pub(crate) fn call_through(
        &self,
        arguments: &[Value<'_>],
        call: impl FnOnce(*const Slot, *mut u8) -> Result<()>,
    ) -> Result<Value<'static>> {
        let mut slots = SlotBuffer::new(self.inner.interface.slots());
        self.fill(arguments, &mut slots)?;
        self.receive(|result| call(slots.as_mut_ptr(), result))
    }

    /// Has `call` write the result to zeroed room, as large and as aligned as its type asks, and reads it there.
    #[inline(always)]
    fn receive(&self, call: impl FnOnce(*mut u8) -> Result<()>) -> Result<Value<'static>> {
        let ty = self.inner.signature.result();
        let layout = self.inner.result_layout;
        let (mut inline, mut heap) = (Inline([0; 64]), Vec::new());
        let room = match inline.0.get_mut(..layout.size) {
            Some(room) if layout.align <= align_of::<Inline>() => room,
            _ => large_room(layout, &mut heap)?,
        };
        call(room.as_mut_ptr())?;
        match ty {
            Type::Aggregate(_) | Type::Vector(_) => {
                let mut object = Object::with_storage(ty, layout.size);
                object.bytes_mut().copy_from_slice(room);
                Ok(Value::Object(object))
            }
            _ => value::read(ty, room),
        }
    }

    #[cold]
    fn count_error(&self, expected: usize, given: usize) -> Error {
        let signature = &self.inner.signature;
        let variadic = signature.is_variadic() && expected == signature.fixed() && given < expected;
        Error::ArgumentCount { function: self.inner.signature.title(), expected, variadic, given }
    }

    #[cold]
    fn argument_error(&self, mismatch: Mismatch) -> Error {
        Error::Argument { function: self.inner.signature.title(), mismatch: Box::new(mismatch) }
    }
}

impl Inner {
    /// Fills the slots, as long as there is nothing to be converted; says whether that was so.
    #[inline(always)]
    fn fill_direct(&self, arguments: &[Value<'_>], slots: &mut [Slot; SlotBuffer::INLINE]) -> bool {
        if arguments.len() != self.parameters.len() {
            return false;
        }
        let offsets = self.interface.slot_offsets();
        for (index, ((value, kind), offset)) in arguments.iter().zip(&self.parameters).zip(offsets).enumerate() {
            let at = *offset as usize / 8;
            if let Some(slot) = kind.slot(value) {
                // SAFETY: the plan's offsets lie within its slots, of which there are no more than these.
                unsafe { *slots.get_unchecked_mut(at) = slot };
                continue;
            }
            match value {
                Value::Object(object) if *kind == Kind::Object && self.fill_object(index, object, &mut slots[at..]) => {
                }
                _ => return false,
            }
        }
        true
    }

    /// Copies an object to its slots, if it is of the declared type; says whether it was.
    fn fill_object(&self, index: usize, object: &Object, places: &mut [Slot]) -> bool {
        let Some(words) = object.words() else { return false };
        if *object.ty() != self.signature.parameters()[index].ty {
            return false;
        }
        for (place, word) in places.iter_mut().zip(words) {
            *place = word.into();
        }
        true
    }

    /// Whether what a call has given is worth anything.
    ///
    /// # Errors
    /// [`Error::Callback`] where a callback below it has failed.
    #[inline(always)]
    fn check_callbacks(&self) -> Result<()> {
        if is_any_parked() { self.report_failure() } else { Ok(()) }
    }

    #[cold]
    fn report_failure(&self) -> Result<()> {
        match take_failure() {
            None => Ok(()),
            Some(failure) => Err(Error::Callback { function: self.signature.title(), failure: Box::new(failure) }),
        }
    }

    /// Calls a function whose result is no [`Kind::Other`].
    ///
    /// # Safety
    /// As for [`CallInterface::call`], but for the result.
    #[inline(always)]
    unsafe fn call_direct(&self, slots: *const Slot, after: impl FnOnce()) -> Result<Value<'static>> {
        let Bound { stub, context, .. } = self.bound;
        let nowhere = std::ptr::null_mut();
        // SAFETY: a scalar result comes back in the first register of its kind, which is the one that these types
        // return in.
        unsafe {
            match self.result {
                Kind::Void => {
                    returning::<()>(stub)(slots, context, nowhere);
                    after();
                    self.check_callbacks()?;
                    Ok(Value::Void)
                }
                Kind::F32 => {
                    let float = returning::<f32>(stub)(slots, context, nowhere);
                    after();
                    self.check_callbacks()?;
                    Ok(Value::F32(float))
                }
                Kind::F64 => {
                    let float = returning::<f64>(stub)(slots, context, nowhere);
                    after();
                    self.check_callbacks()?;
                    Ok(Value::F64(float))
                }
                Kind::Object => self.call_object(slots, after),
                _ => {
                    let bits = returning::<u64>(stub)(slots, context, nowhere);
                    after();
                    self.check_callbacks()?;
                    Ok(self.result.value(bits))
                }
            }
        }
    }

    /// Calls a function whose result is a [`Kind::Object`].
    ///
    /// # Safety
    /// As for [`CallInterface::call`], but for the result.
    #[inline(never)]
    unsafe fn call_object(&self, slots: *const Slot, after: impl FnOnce()) -> Result<Value<'static>> {
        let Bound { stub, context, .. } = self.bound;
        let nowhere = std::ptr::null_mut();
        // SAFETY: the stub returns in the registers that the carrier names, or writes to room that is as large and as
        // aligned as any result of this kind.
        let words = unsafe {
            match self.carrier {
                Some(Carrier::Gprs) => {
                    let Gprs(first, second) = returning::<Gprs>(stub)(slots, context, nowhere);
                    [first, second, 0, 0]
                }
                Some(Carrier::Fprs) => returning::<Fprs>(stub)(slots, context, nowhere).to_words(),
                Some(Carrier::GprFpr) => {
                    let Mixed(gpr, fpr) = returning::<Mixed<u64, f64>>(stub)(slots, context, nowhere);
                    [gpr, fpr.to_bits(), 0, 0]
                }
                Some(Carrier::FprGpr) => {
                    let Mixed(fpr, gpr) = returning::<Mixed<f64, u64>>(stub)(slots, context, nowhere);
                    [fpr.to_bits(), gpr, 0, 0]
                }
                Some(Carrier::Buffer | Carrier::None) => {
                    let mut room = Words([0; 4]);
                    stub(slots, context, room.0.as_mut_ptr().cast());
                    room.0
                }
                None => {
                    let mut room = Words([0; 4]);
                    self.interface.invoke(stub, context, slots, room.0.as_mut_ptr().cast());
                    room.0
                }
            }
        };
        after();
        self.check_callbacks()?;
        Ok(Value::Object(Object::from_words(self.signature.result(), self.result_layout.size, words)))
    }
}

/// Zeroed memory for the words of an [`Object`] that needs no heap, with the largest alignment that any has.
#[repr(C, align(32))]
struct Words([u64; Object::INLINE / 8]);

fn fits_in_words(ty: &Type) -> bool {
    layout::of(ty, Arch::HOST)
        .is_ok_and(|layout| layout.size <= size_of::<Words>() && layout.align <= align_of::<Words>())
}

impl fmt::Debug for Function {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} at {:p}", self.inner.signature, self.inner.target)
    }
}

/// Zeroed memory for results of usual size and alignment.
#[repr(C, align(64))]
struct Inline([u8; 64]);

/// Zeroed memory for any other result; the alignment is reached by leaving out bytes at the start.
#[cold]
fn large_room(layout: layout::Layout, heap: &mut Vec<u8>) -> Result<&mut [u8]> {
    let bytes = layout.size + layout.align;
    heap.try_reserve_exact(bytes).map_err(|_| Error::unsupported(format!("a result of {bytes} bytes")))?;
    heap.resize(bytes, 0);
    let start = heap.as_ptr().align_offset(layout.align);
    Ok(&mut heap[start..][..layout.size])
}

/// A function that takes slots and gives a Rust type: what [`Function::slots`] makes.
///
/// A call is a load of each field and a jump through the stub; nothing is checked or allocated.
pub struct SlotFunction<R> {
    stub: StubFunction,
    context: *const c_void,
    in_memory: bool,
    function: Function,
    result: PhantomData<fn() -> R>,
}

// SAFETY: the pointers are those of the function, which may be used from any thread.
unsafe impl<R> Send for SlotFunction<R> {}
// SAFETY: as above.
unsafe impl<R> Sync for SlotFunction<R> {}

impl<R: CType> SlotFunction<R> {
    /// Calls it.
    ///
    /// # Safety
    /// As for [`CallInterface::call`].
    #[inline(always)]
    pub unsafe fn call(&self, arguments: *const Slot) -> R {
        // SAFETY: `R` is the declared result type, so it comes back in the registers that Rust expects for it, or is
        // written to memory of its size; the caller answers for the arguments.
        unsafe {
            if self.in_memory {
                let mut result = MaybeUninit::<R>::uninit();
                (self.stub)(arguments, self.context, result.as_mut_ptr().cast());
                result.assume_init()
            } else {
                returning::<R>(self.stub)(arguments, self.context, std::ptr::null_mut())
            }
        }
    }

    /// Calls it, and leaves the result in its place. This saves a move where C returns the result in memory, as it does
    /// larger structs.
    ///
    /// # Safety
    /// As for [`CallInterface::call`].
    #[inline(always)]
    pub unsafe fn call_into(&self, arguments: *const Slot, result: &mut MaybeUninit<R>) {
        // SAFETY: as in `call`.
        unsafe {
            if self.in_memory {
                (self.stub)(arguments, self.context, result.as_mut_ptr().cast());
            } else {
                result.write(returning::<R>(self.stub)(arguments, self.context, std::ptr::null_mut()));
            }
        }
    }

    /// The function it calls.
    pub fn function(&self) -> &Function {
        &self.function
    }
}

/// A function with Rust's own types: what [`Function::typed`] makes. A call costs what a call through a function
/// pointer costs.
pub struct TypedFunction<A, R> {
    target: *const (),
    function: Function,
    types: PhantomData<fn(A) -> R>,
}

// SAFETY: the pointer is that of the function, which may be used from any thread.
unsafe impl<A, R> Send for TypedFunction<A, R> {}
// SAFETY: as above.
unsafe impl<A, R> Sync for TypedFunction<A, R> {}

impl<A: CArguments, R: CType> TypedFunction<A, R> {
    /// Calls it.
    ///
    /// # Safety
    /// The declaration is the function's own; pointers among the arguments are what the function wants.
    #[inline(always)]
    pub unsafe fn call(&self, arguments: A) -> R {
        // SAFETY: the types were checked against the declaration; the caller answers for the declaration.
        unsafe { arguments.call(self.target) }
    }

    /// The function it calls.
    pub fn function(&self) -> &Function {
        &self.function
    }
}
