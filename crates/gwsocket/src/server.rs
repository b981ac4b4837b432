//! A server: its listener, its threads, and what callers do with it.

use std::fs;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::RawFd;
use std::os::unix::fs::FileTypeExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::net::{TcpListener, TcpStream, UnixListener};
use tokio::runtime::{Builder, Runtime};
use tokio_rustls::TlsAcceptor;

use crate::client::Client;
use crate::config::{Config, Listen};
use crate::error::{Error, Result};
use crate::event::Event;
use crate::handshake::{self, Admitted};
use crate::hub::{Batch, Hub, Kind};
use crate::peer::Parting;
use crate::socket::Socket;
use crate::stats::{Counters, Stats};
use crate::tls;

/// How long clients may take to answer when the server stops.
const STOPPING: Duration = Duration::from_secs(3);

/// How long the last events may take to be read then.
const TELLING: Duration = Duration::from_millis(200);

/// How often the server looks at who lags or is silent.
const TICK: Duration = Duration::from_millis(250);

/// How many connections the system keeps until they are accepted.
const BACKLOG: i32 = 4096;

enum Listener {
    Tcp(TcpListener, Option<TlsAcceptor>),
    Unix(UnixListener),
}

/// A running WebSocket server. All methods may be called from any thread, and none waits for a client.
///
/// Dropping it closes all clients with code 1001, as [`Server::stop`] does.
///
/// ```
/// use gwsocket::{Config, Kind, Listen, Server};
///
/// let mut config = Config::default();
/// config.listen = Listen::Tcp { addr: Some([127, 0, 0, 1].into()), port: 0 };
/// let server = Server::open(config)?;
/// println!("ws://{}", server.address());
/// let clients = server.broadcast(Kind::Text, b"a tick")?;
/// assert_eq!(clients, 0);
/// # Ok::<(), gwsocket::Error>(())
/// ```
pub struct Server {
    hub: Arc<Hub>,
    runtime: Option<Runtime>,
    address: String,
    /// The UNIX socket's file, to be removed.
    file: Option<PathBuf>,
}

impl Server {
    /// Starts a server, which listens when this returns.
    ///
    /// # Errors
    ///
    /// [`Error::Listen`], [`Error::File`] and [`Error::Tls`] say which option is to blame.
    pub fn open(config: Config) -> Result<Self> {
        let hub = Arc::new(Hub::new(config)?);
        let runtime = Builder::new_multi_thread()
            .worker_threads(hub.config.threads.max(1))
            .thread_name("gwsocket")
            .on_thread_start(leave_signals)
            .enable_all()
            .build()?;
        let entered = runtime.enter();
        let (listener, address, file) = listen(&hub.config)?;
        drop(entered);
        runtime.spawn(accept(Arc::clone(&hub), listener));
        let watched = Arc::clone(&hub);
        runtime.spawn(async move {
            let mut ticks = tokio::time::interval(TICK);
            loop {
                ticks.tick().await;
                watched.tick();
            }
        });
        let woken = Arc::clone(&hub);
        runtime.spawn(async move {
            loop {
                woken.rounds.next().await;
                woken.wake_all();
            }
        });
        Ok(Self { hub, runtime: Some(runtime), address, file })
    }

    /// Where it listens: address and port, or the path of the UNIX socket.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// The TCP port it listens on; 0 for a UNIX socket.
    pub fn port(&self) -> u16 {
        self.address.parse::<SocketAddr>().map_or(0, |address| address.port())
    }

    /// Sends a message to all clients, and gives how many there are.
    ///
    /// Messages reach every client in the order in which they were given, those to one client among those to all.
    ///
    /// # Errors
    ///
    /// [`Error::TooLong`], [`Error::NotUtf8`].
    pub fn broadcast(&self, kind: Kind, payload: &[u8]) -> Result<usize> {
        self.hub.check(kind, payload)?;
        let mut batch = Batch::new(&self.hub);
        batch.broadcast(kind, payload);
        drop(batch);
        Ok(self.hub.number_of_clients())
    }

    /// Sends a message to one client.
    ///
    /// # Errors
    ///
    /// [`Error::NoClient`], [`Error::TooLong`], [`Error::NotUtf8`].
    pub fn send(&self, client: u32, kind: Kind, payload: &[u8]) -> Result<()> {
        self.hub.check(kind, payload)?;
        Batch::new(&self.hub).send(client, kind, payload)
    }

    /// Closes a client with a code and a reason, when it has got what was sent to it before.
    ///
    /// # Errors
    ///
    /// [`Error::NoClient`]; [`Error::CloseCode`] for codes that no server may send.
    pub fn close(&self, client: u32, code: u16, reason: &str) -> Result<()> {
        self.hub.close(client, Parting::new(code, reason)?)
    }

    /// Closes all clients with a code and a reason, when they have got what was sent before.
    ///
    /// # Errors
    ///
    /// [`Error::CloseCode`].
    pub fn close_all(&self, code: u16, reason: &str) -> Result<()> {
        self.hub.close_all(&Parting::new(code, reason)?);
        Ok(())
    }

    /// What a client did next, if anything is known by now.
    pub fn poll(&self) -> Option<Event> {
        self.hub.events.take()
    }

    /// Waits for what a client does next; `None` when nothing happens for so long, or the server stops.
    pub fn wait(&self, patience: Duration) -> Option<Event> {
        self.hub.events.wait(patience)
    }

    /// A descriptor that is readable while there are events, for loops that wait on descriptors. It must not be read from.
    pub fn descriptor(&self) -> RawFd {
        self.hub.events.descriptor()
    }

    /// What the server has done so far.
    pub fn stats(&self) -> Stats {
        self.hub.stats()
    }

    /// Lets nobody in any more, closes all clients with code 1001 when they have got what was sent to them, and waits until
    /// they are gone, 3 seconds at most.
    pub fn stop(self) {}

    pub(crate) fn hub(&self) -> &Arc<Hub> {
        &self.hub
    }

    pub(crate) fn runtime(&self) -> &Runtime {
        self.runtime.as_ref().expect("a server has its threads until it is dropped")
    }
}

impl Server {
    /// What [`Server::stop`] does, while others may hold the server.
    pub(crate) fn halt(&self) {
        self.hub.shut();
        self.hub.close_all(&Parting { code: 1001, reason: "the server stops".to_owned() });
        wait_while(STOPPING, || self.hub.number_of_clients() > 0);
        self.hub.abort_all();
        // Who reads events learns that the clients have gone.
        wait_while(TELLING, || self.hub.events.are_wanted());
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if !self.hub.is_shut() {
            self.halt();
        }
        if let Some(file) = &self.file {
            let _ = fs::remove_file(file);
        }
        if let Some(runtime) = self.runtime.take() {
            // Threads that wait for the standard input are left to it.
            runtime.shutdown_timeout(Duration::from_millis(100));
        }
    }
}

/// Waits while something is so, for some time at most.
fn wait_while(patience: Duration, mut is_so: impl FnMut() -> bool) {
    let deadline = Instant::now() + patience;
    while is_so() && Instant::now() < deadline {
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// Lets this process have as many descriptors as the system allows: a client is one.
pub fn allow_descriptors() {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: both calls get the address of a variable of the type that they want.
    unsafe {
        if libc::getrlimit(libc::RLIMIT_NOFILE, &raw mut limit) == 0 {
            limit.rlim_cur = limit.rlim_max;
            libc::setrlimit(libc::RLIMIT_NOFILE, &raw const limit);
        }
    }
}

/// Leaves signals to the threads of the program that the server runs in: its handlers do not expect to run on others. And
/// a write to a connection that has been closed is an error, not a signal.
fn leave_signals() {
    const OF_THE_THREAD_ITSELF: [libc::c_int; 7] =
        [libc::SIGSEGV, libc::SIGBUS, libc::SIGFPE, libc::SIGILL, libc::SIGABRT, libc::SIGTRAP, libc::SIGPROF];
    // SAFETY: the calls write and read a set on the stack, and change the mask of this thread, which is the server's.
    unsafe {
        let mut signals = std::mem::zeroed();
        libc::sigfillset(&raw mut signals);
        for signal in OF_THE_THREAD_ITSELF {
            libc::sigdelset(&raw mut signals, signal);
        }
        libc::pthread_sigmask(libc::SIG_BLOCK, &raw const signals, std::ptr::null_mut());
    }
}

fn listen(config: &Config) -> Result<(Listener, String, Option<PathBuf>)> {
    match &config.listen {
        Listen::Tcp { addr, port } => {
            let failed = |source| {
                let place = addr.map_or("all interfaces".to_owned(), |addr| addr.to_string());
                Error::Listen { place: format!("{place}, port {port}"), source }
            };
            let listener = listen_on_tcp(*addr, *port).map_err(failed)?;
            let address = listener.local_addr()?.to_string();
            let tls = config.tls.as_ref().map(tls::acceptor).transpose()?;
            Ok((Listener::Tcp(listener, tls), address, None))
        }
        Listen::Unix(path) => {
            let failed = |source| Error::Listen { place: path.display().to_string(), source };
            let listener = listen_on_unix(path).map_err(failed)?;
            Ok((Listener::Unix(listener), path.display().to_string(), Some(path.clone())))
        }
    }
}

fn listen_on_tcp(addr: Option<IpAddr>, port: u16) -> io::Result<TcpListener> {
    match addr {
        Some(addr) => bind(addr, port),
        // One socket for IPv6 and IPv4, where there is IPv6.
        None => match bind(Ipv6Addr::UNSPECIFIED.into(), port) {
            Err(error) if error.kind() != io::ErrorKind::AddrInUse => bind(Ipv4Addr::UNSPECIFIED.into(), port),
            bound => bound,
        },
    }
}

fn bind(addr: IpAddr, port: u16) -> io::Result<TcpListener> {
    use socket2::{Domain, Protocol, Socket, Type};
    let address = SocketAddr::new(addr, port);
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    if addr == IpAddr::from(Ipv6Addr::UNSPECIFIED) {
        socket.set_only_v6(false)?;
    }
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    TcpListener::from_std(socket.into())
}

/// A socket that a server has left behind is replaced; one that is in use, or a file of another kind, is not.
fn listen_on_unix(path: &Path) -> io::Result<UnixListener> {
    match UnixListener::bind(path) {
        Err(error) if error.kind() == io::ErrorKind::AddrInUse => {
            let is_socket = fs::symlink_metadata(path).is_ok_and(|metadata| metadata.file_type().is_socket());
            if !is_socket || std::os::unix::net::UnixStream::connect(path).is_ok() {
                return Err(error);
            }
            fs::remove_file(path)?;
            UnixListener::bind(path)
        }
        bound => bound,
    }
}

/// Accepts connections for as long as the server runs.
async fn accept(hub: Arc<Hub>, listener: Listener) {
    loop {
        let accepted = match &listener {
            Listener::Tcp(listener, tls) => listener.accept().await.map(|(stream, from)| {
                Socket::tune(&stream);
                let address = from.ip().to_canonical().to_string();
                tokio::spawn(serve_tcp(Arc::clone(&hub), stream, tls.clone(), address));
            }),
            Listener::Unix(listener) => listener.accept().await.map(|(stream, _)| {
                let deadline = tokio::time::Instant::now() + hub.config.handshake_timeout;
                tokio::spawn(serve(Arc::clone(&hub), Socket::Unix(stream), "unix".to_owned(), deadline));
            }),
        };
        if let Err(error) = accepted {
            // Out of descriptors, as a rule: those who wait in the backlog are let in when others go.
            hub.access.refused("-", &format!("accept: {error}"));
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}

async fn serve_tcp(hub: Arc<Hub>, stream: TcpStream, tls: Option<TlsAcceptor>, address: String) {
    let deadline = tokio::time::Instant::now() + hub.config.handshake_timeout;
    let Some(tls) = tls else { return serve(hub, Socket::Tcp(stream), address, deadline).await };
    match tokio::time::timeout_at(deadline, tls.accept(stream)).await {
        Ok(Ok(stream)) => serve(hub, Socket::Tls(Box::new(stream)), address, deadline).await,
        Ok(Err(error)) => refused(&hub, &address, &format!("TLS: {error}")),
        Err(_) => refused(&hub, &address, "its TLS handshake took too long"),
    }
}

fn refused(hub: &Hub, address: &str, why: &str) {
    Counters::add(&hub.counters.refused, 1);
    hub.access.refused(address, why);
}

/// A connection, from its handshake to its end.
async fn serve(hub: Arc<Hub>, socket: Socket, address: String, deadline: tokio::time::Instant) {
    if let Some(client) = Box::pin(admit(&hub, socket, &address, deadline)).await {
        client.await;
    }
}

async fn admit(hub: &Arc<Hub>, socket: Socket, address: &str, deadline: tokio::time::Instant) -> Option<Client> {
    match tokio::time::timeout_at(deadline, handshake::accept(socket, hub, address)).await {
        Ok(Ok(Admitted { frames, peer, request })) => {
            hub.access.note(&peer, &format!("open {request}"));
            Some(Client::new(Arc::clone(hub), peer, frames))
        }
        Ok(Err(one)) => {
            refused(hub, address, &one.refusal.line());
            one.answer().await;
            None
        }
        Err(_) => {
            refused(hub, address, "its handshake took too long");
            None
        }
    }
}
