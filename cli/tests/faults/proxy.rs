//! A proxy that knows where PostgreSQL's messages begin and end, in both directions, so that a fault can be planted before
//! or after any of them (PostgreSQL documentation, "Message Formats").

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

/// Who sent a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum From {
    Client,
    Server,
}

/// A moment in the traffic of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Point {
    /// The connection, in the order in which they are opened, from 0.
    pub connection: usize,
    pub from: From,
    /// The message of that connection and direction, from 0; the client's first is its startup packet.
    pub message: usize,
    /// Whether the message is passed on before the fault, or is held back.
    pub passed: bool,
}

/// A message that went through.
#[derive(Debug, Clone)]
pub struct Seen {
    pub connection: usize,
    pub from: From,
    pub message: usize,
    /// Its type; 0 for a packet of the startup.
    pub kind: u8,
    /// The head of its text, to tell queries apart.
    pub head: String,
}

impl Seen {
    /// The moment before it is passed on, or after.
    pub fn point(&self, passed: bool) -> Point {
        Point {
            connection: self.connection,
            from: self.from,
            message: self.message,
            passed,
        }
    }
}

/// What happens to the network.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Network {
    Passes,
    /// Nothing is passed on, and nobody notices.
    Stalls,
    /// Every connection is refused.
    Cut,
}

/// The fault is carried out while the message waits; this lets it go on.
pub struct Strike(Sender<()>);

impl Strike {
    pub fn go_on(self) {
        let _ = self.0.send(());
    }
}

/// A connection. Its client is gone once it was reset, and closed when nobody works with it any more.
struct Pair {
    client: Mutex<Option<Arc<TcpStream>>>,
    server: UnixStream,
}

impl Pair {
    fn client(&self) -> Option<Arc<TcpStream>> {
        self.client.lock().unwrap().clone()
    }
}

struct Shared {
    upstream: PathBuf,
    point: Option<Point>,
    struck: AtomicBool,
    strikes: Mutex<Sender<Strike>>,
    network: Mutex<Network>,
    changed: Condvar,
    pairs: Mutex<Vec<Arc<Pair>>>,
    seen: Option<Mutex<Vec<Seen>>>,
    opened: AtomicUsize,
    closing: AtomicBool,
}

/// Listens on a port of this machine as long as the value lives.
pub struct Proxy {
    port: u16,
    shared: Arc<Shared>,
    strikes: Receiver<Strike>,
}

impl Proxy {
    /// One that leads to a server's socket. With a point it strikes there once; without, it notes what it sees.
    pub fn start(upstream: PathBuf, point: Option<Point>) -> Proxy {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let (sender, strikes) = channel();
        let shared = Arc::new(Shared {
            upstream,
            seen: point.is_none().then(Mutex::default),
            point,
            struck: AtomicBool::new(false),
            strikes: Mutex::new(sender),
            network: Mutex::new(Network::Passes),
            changed: Condvar::new(),
            pairs: Mutex::default(),
            opened: AtomicUsize::new(0),
            closing: AtomicBool::new(false),
        });
        let accepting = Arc::clone(&shared);
        std::thread::spawn(move || {
            for client in listener.incoming() {
                if accepting.closing.load(Ordering::SeqCst) {
                    break;
                }
                if let Ok(client) = client {
                    accept(&accepting, client);
                }
            }
        });
        Proxy { port, shared, strikes }
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    /// Waits for the point to be reached.
    pub fn strike(&self, patience: Duration) -> Option<Strike> {
        self.strikes.recv_timeout(patience).ok()
    }

    pub fn seen(&self) -> Vec<Seen> {
        self.shared
            .seen
            .as_ref()
            .map(|seen| seen.lock().unwrap().clone())
            .unwrap_or_default()
    }

    /// Ends every connection with a reset on the client's side; the server sees an end.
    pub fn reset(&self) {
        self.reset_clients();
        self.close_servers();
    }

    /// The client sees a reset and the server nothing.
    pub fn reset_clients(&self) {
        for pair in self.shared.pairs.lock().unwrap().iter() {
            if let Some(client) = pair.client.lock().unwrap().take() {
                // Closed so, a connection ends with a reset. Who reads from it wakes up and lets it go.
                let _ = rustix::net::sockopt::set_socket_linger(&client, Some(Duration::ZERO));
                let _ = client.shutdown(Shutdown::Read);
            }
        }
    }

    /// The server sees the end.
    pub fn close_servers(&self) {
        for pair in self.shared.pairs.lock().unwrap().iter() {
            let _ = pair.server.shutdown(Shutdown::Both);
        }
    }

    /// Stops passing on, in both directions and for new connections too.
    pub fn stall(&self) {
        self.set(Network::Stalls);
    }

    /// Refuses everybody.
    pub fn cut(&self) {
        self.set(Network::Cut);
    }

    /// Passes on again.
    pub fn mend(&self) {
        self.set(Network::Passes);
    }

    fn set(&self, network: Network) {
        *self.shared.network.lock().unwrap() = network;
        self.shared.changed.notify_all();
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.shared.closing.store(true, Ordering::SeqCst);
        self.reset();
        self.mend();
        // Wakes who accepts.
        let _ = TcpStream::connect(("127.0.0.1", self.port));
    }
}

fn accept(shared: &Arc<Shared>, client: TcpStream) {
    if *shared.network.lock().unwrap() == Network::Cut {
        return;
    }
    let Ok(server) = UnixStream::connect(&shared.upstream) else {
        return;
    };
    let _ = client.set_nodelay(true);
    let client = Arc::new(client);
    let pair = Arc::new(Pair {
        client: Mutex::new(Some(Arc::clone(&client))),
        server,
    });
    shared.pairs.lock().unwrap().push(Arc::clone(&pair));
    // A request to cancel is a connection as any other.
    let connection = shared.opened.fetch_add(1, Ordering::SeqCst);
    let (sharing, paired) = (Arc::clone(shared), Arc::clone(&pair));
    std::thread::spawn(move || {
        pump(&sharing, &paired, connection, From::Client, Some(client));
        // After a reset the server is told by whoever planted it.
        if paired.client.lock().unwrap().take().is_some() {
            let _ = paired.server.shutdown(Shutdown::Both);
        }
    });
    let shared = Arc::clone(shared);
    std::thread::spawn(move || {
        pump(&shared, &pair, connection, From::Server, None);
        if let Some(client) = pair.client.lock().unwrap().take() {
            let _ = client.shutdown(Shutdown::Both);
        }
        shared.pairs.lock().unwrap().retain(|known| !Arc::ptr_eq(known, &pair));
    });
}

/// Passes messages on until one side ends.
fn pump(shared: &Shared, pair: &Pair, connection: usize, from: From, client: Option<Arc<TcpStream>>) -> Option<()> {
    let mut message = Vec::new();
    for number in 0.. {
        let kind = match &client {
            Some(client) => read(&mut &**client, number == 0, &mut message)?,
            None => read(&mut &pair.server, false, &mut message)?,
        };
        if let Some(seen) = &shared.seen {
            let head = message.get(5..).unwrap_or_default();
            let head = String::from_utf8_lossy(&head[..head.len().min(400)]).into_owned();
            seen.lock().unwrap().push(Seen {
                connection,
                from,
                message: number,
                kind,
                head,
            });
        }
        let here = |passed| {
            let point = Point {
                connection,
                from,
                message: number,
                passed,
            };
            if shared.point == Some(point) && !shared.struck.swap(true, Ordering::SeqCst) {
                let (sender, done) = channel();
                let _ = shared.strikes.lock().unwrap().send(Strike(sender));
                // Whoever drops it lets go, too.
                let _ = done.recv();
            }
        };
        here(false);
        let mut network = shared.network.lock().unwrap();
        while *network == Network::Stalls && !shared.closing.load(Ordering::SeqCst) {
            network = shared.changed.wait(network).unwrap();
        }
        drop(network);
        match (from, pair.client()) {
            // It was reset: what was on the way is lost.
            (From::Client, None) => return None,
            (From::Server, None) => {}
            (From::Client, Some(_)) => (&pair.server).write_all(&message).ok()?,
            (From::Server, Some(client)) => (&*client).write_all(&message).ok()?,
        }
        here(true);
    }
    None
}

/// Reads one message, whole. Its type is 0 for the packets of the startup, which have none.
fn read(stream: &mut impl Read, startup: bool, message: &mut Vec<u8>) -> Option<u8> {
    let head = if startup { 4 } else { 5 };
    message.resize(head, 0);
    stream.read_exact(message).ok()?;
    let length = u32::from_be_bytes(message[head - 4..].try_into().ok()?) as usize;
    let whole = (head - 4) + length;
    message.resize(whole.max(head), 0);
    stream.read_exact(&mut message[head..]).ok()?;
    Some(if startup { 0 } else { message[0] })
}
