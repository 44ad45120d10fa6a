//! Notifications to the service manager (sd_notify(3)): a line of text over the datagram socket that it names. Without that
//! socket there is no service manager.

use std::env;
use std::ffi::{OsStr, OsString};
use std::io::{self, IoSlice};
use std::mem::MaybeUninit;
use std::net::TcpStream;
use std::os::fd::AsFd;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::process;
use std::time::Duration;

use rustix::net::{SendAncillaryBuffer, SendAncillaryMessage, SendFlags};
use udp::PassedSockets;

/// A notification.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum State {
    /// It receives and serves.
    Ready,
    /// It reloads its configuration; [`State::Ready`] follows.
    Reloading,
    /// It stores what was received, then ends.
    Stopping,
    /// The watchdog ping.
    Alive,
    /// One line of totals.
    Status(String),
}

impl State {
    fn message(&self) -> String {
        match self {
            Self::Ready => "READY=1".to_owned(),
            Self::Reloading => {
                let now = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
                format!("RELOADING=1\nMONOTONIC_USEC={}{:06}", now.tv_sec, now.tv_nsec / 1000)
            }
            Self::Stopping => "STOPPING=1".to_owned(),
            Self::Alive => "WATCHDOG=1".to_owned(),
            Self::Status(line) => format!("STATUS={}", line.replace('\n', " ")),
        }
    }
}

/// Whether there is a service manager.
pub(crate) fn is_there() -> bool {
    socket().is_some()
}

fn socket() -> Option<OsString> {
    env::var_os("NOTIFY_SOCKET").filter(|socket| !socket.is_empty())
}

/// Notifies the service manager, if there is one. A failure is logged.
pub(crate) fn notify(state: &State) {
    let Some(socket) = socket() else { return };
    if let Err(error) = send(&socket, &state.message()) {
        tracing::warn!(%error, "cannot notify the service manager of {state:?}");
    }
}

/// How long it waits for a service manager that does not read what it stores.
const STORE_PATIENCE: Duration = Duration::from_secs(5);

/// Lets the service manager keep connections for the next process. One that does not (`FileDescriptorStoreMax=0`) closes them.
pub(crate) fn store(connections: &[TcpStream]) {
    let Some(socket) = socket() else { return };
    match store_all(&socket, connections) {
        Ok(()) => tracing::info!("the service manager keeps {} export connections for the next run", connections.len()),
        Err(error) => tracing::warn!(%error, "the service manager does not keep the export connections"),
    }
}

fn store_all(socket: &OsStr, connections: &[TcpStream]) -> io::Result<()> {
    let manager = UnixDatagram::unbound()?;
    manager.connect_addr(&address(socket)?)?;
    manager.set_write_timeout(Some(STORE_PATIENCE))?;
    let message = format!("FDSTORE=1\nFDNAME={}", PassedSockets::KEPT);
    for connection in connections {
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
        let descriptors = [connection.as_fd()];
        let mut control = SendAncillaryBuffer::new(&mut space);
        control.push(SendAncillaryMessage::ScmRights(&descriptors));
        rustix::net::sendmsg(&manager, &[IoSlice::new(message.as_bytes())], &mut control, SendFlags::empty())?;
    }
    Ok(())
}

/// The longest time between two [`State::Alive`] before the service manager ends this process; `None` when it has no limit.
pub(crate) fn watchdog() -> Option<Duration> {
    let number = |name| env::var(name).ok().and_then(|value| value.parse::<u64>().ok());
    let is_ours = env::var_os("WATCHDOG_PID").is_none() || number("WATCHDOG_PID") == Some(process::id().into());
    number("WATCHDOG_USEC").filter(|microseconds| is_ours && *microseconds > 0).map(Duration::from_micros)
}

fn send(socket: &OsStr, message: &str) -> io::Result<()> {
    UnixDatagram::unbound()?.send_to_addr(message.as_bytes(), &address(socket)?).map(drop)
}

fn address(socket: &OsStr) -> io::Result<SocketAddr> {
    match socket.as_bytes() {
        [b'@', name @ ..] => SocketAddr::from_abstract_name(name),
        path => SocketAddr::from_pathname(OsStr::from_bytes(path)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_state_arrives_by_path_and_by_abstract_name() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("notify");
        let by_path = UnixDatagram::bind(&path).unwrap();
        let name = format!("netflow-test-{}", std::process::id());
        let by_name = UnixDatagram::bind_addr(&SocketAddr::from_abstract_name(&name).unwrap()).unwrap();
        for (receiver, address) in [(by_path, path.into_os_string()), (by_name, format!("@{name}").into())] {
            send(&address, &State::Ready.message()).unwrap();
            let mut message = [0; 64];
            let length = receiver.recv(&mut message).unwrap();
            assert_eq!(&message[..length], b"READY=1");
        }
    }
}
