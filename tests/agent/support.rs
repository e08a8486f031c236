//! Starting the agent, being its controller, and being the application.

use std::{
    fs,
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::{SocketAddr, TcpListener, TcpStream},
    os::unix::process::CommandExt as _,
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    sync::{
        Arc, Mutex, Once,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    thread,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;
use tokio::signal::unix::{SignalKind, signal};
use windlass_core::agent_protocol::challenge::{
    Answer, Challenge, Nonce, SEAL_HEADER, Token, VolumeAnswer, VolumeState,
};

use crate::kubelet::Kubelet;

/// Far more than anything takes, even on a machine that does something else.
pub const DEADLINE: Duration = Duration::from_mins(1);

/// A token, as a file would have it.
pub const TOKEN: &str = "a token of more than sixteen bytes\n";

/// Times of files and of processes are those of the last tick; what must be later than another has to be
/// so by more than that.
pub const TICKS: Duration = Duration::from_millis(150);

/// Waits until something that tells nobody has become true.
pub fn eventually<T>(what: &str, mut condition: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + DEADLINE;
    loop {
        if let Some(found) = condition() {
            return found;
        }
        assert!(Instant::now() < deadline, "not within the deadline: {what}");
        thread::sleep(Duration::from_millis(5));
    }
}

/// The mount path without any link in it: the agent follows none.
pub fn path(kubelet: &Kubelet) -> PathBuf {
    fs::canonicalize(kubelet.path()).expect("a path")
}

/// A folder, and its path without any link in it.
pub fn folder() -> (TempDir, PathBuf) {
    let root = tempfile::tempdir().expect("a folder");
    let path = fs::canonicalize(root.path()).expect("a path");
    (root, path)
}

/// A running agent. Dropping it kills it.
pub struct Agent {
    child: Child,
    address: SocketAddr,
    log: Arc<Mutex<Vec<String>>>,
    files: TempDir,
}

impl Agent {
    /// With a token, and with further flags.
    pub fn start(volumes: &[&Path], flags: &[&str]) -> Self {
        let files = tempfile::tempdir().expect("a folder");
        let token = files.path().join("token");
        fs::write(&token, TOKEN).expect("a file");
        let mut command = windlass();
        command.args(["agent", "--admin-address", "127.0.0.1:0", "--log-format", "json"]);
        command.arg("--token-file").arg(&token);
        for volume in volumes {
            command.arg("--volume").arg(volume);
        }
        command.args(flags);
        let mut child = command.stderr(Stdio::piped()).spawn().expect("the agent starts");
        let log = Arc::new(Mutex::new(Vec::new()));
        let lines = BufReader::new(child.stderr.take().expect("piped"));
        let kept = Arc::clone(&log);
        thread::spawn(move || {
            for line in lines.lines().map_while(Result::ok) {
                kept.lock().expect("no panic").push(line);
            }
        });
        let address = eventually("the agent listens", || {
            let log = log.lock().expect("no panic");
            let line = log.iter().find(|line| line.contains("admin server listening"))?;
            let line: serde_json::Value = serde_json::from_str(line).expect("JSON");
            Some(line["address"].as_str()?.parse().expect("an address"))
        });
        Self {
            child,
            address,
            log,
            files,
        }
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    pub fn token_file(&self) -> PathBuf {
        self.files.path().join("token")
    }

    pub fn log(&self) -> String {
        self.log.lock().expect("no panic").join("\n")
    }

    pub fn get(&self, path: &str) -> (u16, String) {
        let (status, _, body) = self.request(&format!("GET {path} HTTP/1.1\r\nhost: a\r\n\r\n"));
        (status, body)
    }

    /// Status, head and body of the answer to a request that is sent as it is; 0 if there is none.
    pub fn request(&self, request: &str) -> (u16, String, String) {
        let mut stream = TcpStream::connect(self.address).expect("a connection");
        stream.set_read_timeout(Some(DEADLINE)).expect("a socket");
        // The other side may have had enough before all of it is sent.
        let _ = stream.write_all(request.as_bytes());
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer);
        let answer = String::from_utf8(answer).expect("text");
        let Some((head, body)) = answer.split_once("\r\n\r\n") else {
            return (0, answer, String::new());
        };
        let status = head.split(' ').nth(1).expect("a status").parse().expect("a number");
        (status, head.to_owned(), body.to_owned())
    }

    /// Asks a question with this token.
    pub fn ask_with(&self, challenge: Challenge, token: &Token) -> (u16, String, String) {
        self.request(&format!(
            "GET {} HTTP/1.1\r\nhost: a\r\nauthorization: {}\r\n\r\n",
            challenge.path_and_query(),
            challenge.authorization(token)
        ))
    }

    /// Asks as a controller does, and checks the seal.
    pub fn ask(&self) -> (Challenge, Answer) {
        let challenge = challenge();
        let (status, head, body) = self.ask_with(challenge, &token());
        assert_eq!(status, 200, "{head}\n{body}");
        let seal = head
            .lines()
            .find_map(|line| line.strip_prefix(&format!("{SEAL_HEADER}: ")));
        let key = challenge.answer_key(&token());
        assert!(
            key.verify_seal(body.as_bytes(), seal.expect("a seal")),
            "{head}\n{body}"
        );
        (challenge, serde_json::from_str(&body).expect("an answer"))
    }

    /// Waits until the only volume holds this under this key, and is in this state; gives the message.
    pub fn until(&self, key: &str, content: &str, state: VolumeState) -> Option<String> {
        let mut last = None;
        let deadline = Instant::now() + DEADLINE;
        while Instant::now() < deadline {
            let (challenge, answer) = self.ask();
            let volume = only(answer);
            let wanted = challenge.answer_key(&token()).file(content.as_bytes());
            if volume.state == state && volume.files.get(key) == Some(&wanted) {
                return volume.message;
            }
            last = Some(volume);
            thread::sleep(Duration::from_millis(10));
        }
        panic!("not {state:?} with {key}={content}: {last:?}\n{}", self.log());
    }

    /// The value of a series, by its name and labels.
    pub fn metric(&self, series: &str) -> u64 {
        let (_, text) = self.get("/metrics");
        let line = text.lines().find_map(|line| line.strip_prefix(&format!("{series} ")));
        line.unwrap_or_else(|| panic!("no {series} in\n{text}"))
            .parse()
            .expect("a number")
    }

    pub fn signal(&self, signal: Signal) {
        send(&self.child, signal);
    }

    /// Ends it as the kernel does when memory is short.
    pub fn kill(mut self) {
        self.child.kill().expect("killed");
        self.child.wait().expect("ended");
    }

    pub fn wait(&mut self) -> ExitStatus {
        eventually("the agent ends", || self.child.try_wait().expect("a child"))
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The program, without any setting of whoever runs the tests.
pub fn windlass() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_windlass"));
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("WINDLASS_") {
            command.env_remove(name);
        }
    }
    command.stdin(Stdio::null());
    command
}

pub fn token() -> Token {
    Token::new(TOKEN.as_bytes()).expect("a token")
}

pub fn now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).expect("a clock");
    i64::try_from(since.as_secs()).expect("this century")
}

/// A question that was never asked before, at this moment.
pub fn challenge() -> Challenge {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    Challenge {
        nonce: Nonce::from_bytes(u128::from(number).to_be_bytes()),
        time: now(),
    }
}

pub fn only(answer: Answer) -> VolumeAnswer {
    let [volume] = <[VolumeAnswer; 1]>::try_from(answer.volumes).expect("one volume");
    volume
}

fn send(child: &Child, signal: Signal) {
    let pid = Pid::from_raw(child.id().try_into().expect("a number")).expect("a process");
    kill_process(pid, signal).expect("signalled");
}

/// What the application's endpoint does with a request.
#[derive(Clone, Copy, Debug)]
pub enum Reply {
    Status(u16),
    /// Keeps the connection and says nothing.
    Hang,
}

/// An application with an endpoint.
pub struct Endpoint {
    address: SocketAddr,
    heads: Arc<Mutex<Vec<String>>>,
}

impl Endpoint {
    /// `reply` decides by the number of the request, from 0.
    pub fn start(reply: impl Fn(usize) -> Reply + Send + 'static) -> Self {
        Self::on(TcpListener::bind("127.0.0.1:0").expect("a port"), reply)
    }

    pub fn on(listener: TcpListener, reply: impl Fn(usize) -> Reply + Send + 'static) -> Self {
        let address = listener.local_addr().expect("an address");
        let heads = Arc::new(Mutex::new(Vec::new()));
        let kept = Arc::clone(&heads);
        thread::spawn(move || {
            let mut hanging = Vec::new();
            let count = AtomicUsize::new(0);
            for stream in listener.incoming() {
                let mut stream = stream.expect("a connection");
                let mut lines = BufReader::new(stream.try_clone().expect("a socket")).lines();
                let head: Vec<String> = lines
                    .by_ref()
                    .map_while(Result::ok)
                    .take_while(|line| !line.is_empty())
                    .collect();
                kept.lock().expect("no panic").push(head.join("\n"));
                match reply(count.fetch_add(1, Ordering::Relaxed)) {
                    Reply::Status(status) => {
                        let answer = format!("HTTP/1.1 {status} x\r\ncontent-length: 0\r\n\r\n");
                        let _ = stream.write_all(answer.as_bytes());
                    }
                    Reply::Hang => hanging.push(stream),
                }
            }
        });
        Self { address, heads }
    }

    pub fn url(&self) -> String {
        format!("http://{}/-/reload?all=1", self.address)
    }

    pub fn heads(&self) -> Vec<String> {
        self.heads.lock().expect("no panic").clone()
    }
}

/// Under `nohup` SIGHUP is ignored, and so in each child, where a shell cannot trap it then. A signal that this
/// process handles has its usual meaning in its children.
fn reset_hangup() {
    static RESET: Once = Once::new();
    RESET.call_once(|| {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.expect("a runtime");
        let _entered = runtime.enter();
        // The handler stays when the stream is gone.
        drop(signal(SignalKind::hangup()).expect("a signal that can be handled"));
    });
}

/// An application that notes each SIGHUP in a file. Dropping it ends it.
pub struct Application {
    child: Child,
    notes: PathBuf,
    _files: TempDir,
}

impl Application {
    pub fn start(name: &str) -> Self {
        Self::with(name, "trap 'echo told >> $NOTES' HUP")
    }

    /// Takes the signal and does nothing.
    pub fn deaf(name: &str) -> Self {
        Self::with(name, "trap '' HUP")
    }

    fn with(name: &str, trap: &str) -> Self {
        reset_hangup();
        let files = tempfile::tempdir().expect("a folder");
        let (notes, ready) = (files.path().join("notes"), files.path().join("ready"));
        let child = Command::new("sh")
            .arg0(name)
            .args(["-c", &format!("{trap}; : > $READY; while :; do sleep 0.02; done")])
            .env("NOTES", &notes)
            .env("READY", &ready)
            .stdin(Stdio::null())
            .spawn()
            .expect("sh");
        eventually("the application runs", || ready.exists().then_some(()));
        Self {
            child,
            notes,
            _files: files,
        }
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// How often it was told.
    pub fn told(&self) -> usize {
        fs::read_to_string(&self.notes).unwrap_or_default().lines().count()
    }

    /// It has not ended from what it was told.
    pub fn runs(&mut self) -> bool {
        self.child.try_wait().expect("a child").is_none()
    }
}

impl Drop for Application {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
