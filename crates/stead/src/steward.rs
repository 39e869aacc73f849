//! The steward as the command line sees it: reached over its socket, started when nobody answers.

use crate::failure::Failure;
use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::client::conn::http1;
use hyper::{Method, Request, Response};
use hyper_util::rt::TokioIo;
use rustix::event::{PollFd, PollFlags};
use rustix::process::{Pid, PidfdFlags, Signal};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Duration;
use stead_hold::folder::Places;
use stead_hold::launch;
use stead_wire::api::{Problem, Version};
use tokio::net::UnixStream;
use tokio::runtime::Runtime;

/// How often a steward is started while another has its place, how often that one is looked for each time, and how
/// far apart.
const STARTS: u32 = 30;
const LOOKS: u32 = 5;
const START_STEP: Duration = Duration::from_millis(20);

/// How long a steward has to end before it is killed; sessions notice neither.
const END_PATIENCE: rustix::event::Timespec = rustix::event::Timespec { tv_sec: 5, tv_nsec: 0 };

/// A way to ask the steward.
pub struct Steward {
    places: Places,
    runtime: Runtime,
}

/// Bytes of an answer, as they come.
pub struct Lines<'a> {
    steward: &'a Steward,
    body: Incoming,
    buffer: Vec<u8>,
}

impl Steward {
    /// For these places; nothing is asked yet.
    ///
    /// # Errors
    /// If the process cannot wait for sockets, or sockets cannot lie there.
    pub fn new(places: Places) -> Result<Self, Failure> {
        launch::check_sockets(&places)?;
        let runtime =
            tokio::runtime::Builder::new_current_thread().enable_io().enable_time().build()?;
        Ok(Steward { places, runtime })
    }

    /// For this user's places.
    ///
    /// # Errors
    /// If the environment does not say where things lie.
    pub fn of_user() -> Result<Self, Failure> {
        Self::new(Places::from_env()?)
    }

    /// Where things lie.
    pub fn places(&self) -> &Places {
        &self.places
    }

    /// Asks for something.
    ///
    /// # Errors
    /// What the steward says, or that it can be neither reached nor started.
    pub fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, Failure> {
        self.call(Method::GET, path, None::<&()>)
    }

    /// Has something done.
    ///
    /// # Errors
    /// As [`Steward::get`].
    pub fn post<T: DeserializeOwned>(
        &self,
        path: &str,
        body: &impl Serialize,
    ) -> Result<T, Failure> {
        self.call(Method::POST, path, Some(body))
    }

    /// Has something removed.
    ///
    /// # Errors
    /// As [`Steward::get`].
    pub fn delete(&self, path: &str) -> Result<(), Failure> {
        self.call(Method::DELETE, path, None::<&()>)
    }

    /// An answer that comes in lines of JSON, for as long as somebody reads them.
    ///
    /// # Errors
    /// As [`Steward::get`].
    pub fn lines(&self, path: &str) -> Result<Lines<'_>, Failure> {
        self.lines_of(Method::GET, path, None::<&()>)
    }

    /// Has something done that tells how far it is, in lines of JSON.
    ///
    /// # Errors
    /// As [`Steward::get`].
    pub fn lines_of(
        &self,
        method: Method,
        path: &str,
        body: Option<&impl Serialize>,
    ) -> Result<Lines<'_>, Failure> {
        let body = body.map(serde_json::to_vec).transpose()?.unwrap_or_default();
        let response = self.runtime.block_on(self.request(method, path, body))?;
        Ok(Lines { steward: self, body: response.into_body(), buffer: Vec::new() })
    }

    fn call<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        body: Option<&impl Serialize>,
    ) -> Result<T, Failure> {
        let body = body.map(serde_json::to_vec).transpose()?.unwrap_or_default();
        let bytes = self.runtime.block_on(async {
            let response = self.request(method, path, body).await?;
            let body = response.into_body().collect().await.map_err(|e| Failure::from_error(&e))?;
            Ok::<_, Failure>(body.to_bytes())
        })?;
        let bytes: &[u8] = if bytes.is_empty() { b"null" } else { &bytes };
        Ok(serde_json::from_slice(bytes)?)
    }

    async fn request(
        &self,
        method: Method,
        path: &str,
        body: Vec<u8>,
    ) -> Result<Response<Incoming>, Failure> {
        let stream = self.connect().await?;
        stead_wire::peer::check(&stream).map_err(|e| Failure::from_error(&e))?;
        let (mut sender, connection) =
            http1::handshake(TokioIo::new(stream)).await.map_err(|e| Failure::from_error(&e))?;
        tokio::spawn(connection);
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header("host", "stead")
            .header("content-type", "application/json")
            .body(Full::new(Bytes::from(body)))
            .map_err(|e| Failure::from_error(&e))?;
        let response = sender.send_request(request).await.map_err(|e| Failure::from_error(&e))?;
        if response.status().is_success() {
            return Ok(response);
        }
        let status = response.status();
        let body = response.into_body().collect().await.map_err(|e| Failure::from_error(&e))?;
        match serde_json::from_slice::<Problem>(&body.to_bytes()) {
            Ok(problem) => Err(problem.into()),
            Err(_) => Err(Failure::failed(format!("the steward answered {status}"))),
        }
    }

    async fn connect(&self) -> Result<UnixStream, Failure> {
        let socket = self.places.steward_socket();
        if let Ok(stream) = UnixStream::connect(&socket).await {
            match outdated(&stream) {
                None => return Ok(stream),
                // An upgrade has replaced the program: the steward follows. Sessions do not notice.
                Some(pid) => end(pid)?,
            }
        }
        self.start()?;
        UnixStream::connect(&socket).await.map_err(|e| {
            Failure::failed(format!("the steward does not listen on {}: {e}", socket.display()))
                .help(format!("its log is {}", self.log().display()))
        })
    }

    /// Whether it answers; it is not started for that.
    pub fn version(&self) -> Option<Version> {
        if !self.answers() {
            return None;
        }
        self.get("/v1/version").ok()
    }

    /// Whether somebody listens on its socket.
    pub fn answers(&self) -> bool {
        std::os::unix::net::UnixStream::connect(self.places.steward_socket()).is_ok()
    }

    /// Where a steward in the background writes what it has to say.
    pub fn log(&self) -> PathBuf {
        self.places.data.join("steward.log")
    }

    /// Starts it in the background and waits until it listens.
    ///
    /// # Errors
    /// If it does not.
    pub fn start(&self) -> Result<(), Failure> {
        self.places.create()?;
        let mut line = String::new();
        for _ in 0..STARTS {
            line = self.start_once()?;
            if line == "ready" {
                return Ok(());
            }
            if !line.contains("runs") {
                break;
            }
            // The one that is there may be just starting: it answers soon. Or it is just ending: then the next has its place.
            for _ in 0..LOOKS {
                if self.answers() {
                    return Ok(());
                }
                std::thread::sleep(START_STEP);
            }
        }
        let message = match line.as_str() {
            "" => "the steward did not start".to_owned(),
            why => format!("the steward did not start: {why}"),
        };
        Err(Failure::failed(message).help(format!("its log is {}", self.log().display())))
    }

    /// Starts one, and returns its first line.
    fn start_once(&self) -> Result<String, Failure> {
        let log = std::fs::OpenOptions::new().create(true).append(true).open(self.log())?;
        let program = std::env::current_exe()?;
        let mut child = Command::new(&program)
            .args(["steward", "run", "--background"])
            .current_dir("/")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(log)
            .spawn()
            .map_err(|e| Failure::failed(format!("cannot run {}: {e}", program.display())))?;
        let mut line = String::new();
        BufReader::new(child.stdout.take().expect("piped")).read_line(&mut line)?;
        Ok(line.trim().to_owned())
    }
}

/// The steward's process, if its program is no longer the one on disk although this program lies in its place.
fn outdated(stream: &UnixStream) -> Option<Pid> {
    let pid = rustix::net::sockopt::socket_peercred(stream).ok()?.pid;
    let program = std::fs::read_link(format!("/proc/{}/exe", pid.as_raw_nonzero())).ok()?;
    let replaced = program.to_str()?.strip_suffix(" (deleted)")?;
    (std::env::current_exe().ok()?.to_str()? == replaced).then_some(pid)
}

/// Has a steward end, and waits for it.
///
/// # Errors
/// If it cannot be told.
pub fn end(pid: Pid) -> Result<(), Failure> {
    let Ok(process) = rustix::process::pidfd_open(pid, PidfdFlags::empty()) else { return Ok(()) };
    let io_error = std::io::Error::from;
    rustix::process::pidfd_send_signal(&process, Signal::TERM).map_err(io_error)?;
    let mut fds = [PollFd::new(&process, PollFlags::IN)];
    if rustix::event::poll(&mut fds, Some(&END_PATIENCE)).map_err(io_error)? == 0 {
        // A client that does not read keeps it: there is nothing in it that could be lost.
        rustix::process::pidfd_send_signal(&process, Signal::KILL).map_err(io_error)?;
        rustix::event::poll(&mut fds, None).map_err(io_error)?;
    }
    Ok(())
}

impl Iterator for Lines<'_> {
    type Item = Vec<u8>;

    fn next(&mut self) -> Option<Vec<u8>> {
        loop {
            if let Some(end) = self.buffer.iter().position(|b| *b == b'\n') {
                let rest = self.buffer.split_off(end + 1);
                return Some(std::mem::replace(&mut self.buffer, rest));
            }
            let frame = self.steward.runtime.block_on(self.body.frame())?.ok()?;
            if let Ok(data) = frame.into_data() {
                self.buffer.extend_from_slice(&data);
            }
        }
    }
}
