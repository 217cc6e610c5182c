//! The network between the servers, which this process is: each reaches each other one through a relay.

use std::io;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;

/// All relays. They end when this is dropped.
pub(super) struct Relays {
    all: Vec<Relay>,
    _tasks: JoinSet<()>,
}

struct Relay {
    from: usize,
    to: usize,
    address: String,
    open: watch::Sender<bool>,
}

impl Relays {
    /// Opens a relay from each server to each other one. `targets` are the servers' addresses.
    ///
    /// # Errors
    /// When no port can be had.
    pub(super) async fn start(targets: &[String]) -> io::Result<Relays> {
        let (mut all, mut tasks) = (Vec::new(), JoinSet::new());
        for from in 0..targets.len() {
            for (to, target) in targets.iter().enumerate().filter(|(to, _)| *to != from) {
                let listener = TcpListener::bind("127.0.0.1:0").await?;
                let address = listener.local_addr()?.to_string();
                let (open, gate) = watch::channel(true);
                tasks.spawn(serve(listener, target.clone(), gate));
                all.push(Relay { from, to, address, open });
            }
        }
        Ok(Relays { all, _tasks: tasks })
    }

    /// Where `from` reaches `to`.
    pub(super) fn address(&self, from: usize, to: usize) -> String {
        let relay = self.all.iter().find(|relay| relay.from == from && relay.to == to);
        relay.map(|relay| relay.address.clone()).unwrap_or_default()
    }

    /// From now on nothing passes to or from this server. Connections stay open, and new ones get no answer,
    /// as where a network drops packets.
    pub(super) fn cut_off(&self, node: usize) {
        for relay in self.all.iter().filter(|relay| relay.from == node || relay.to == node) {
            relay.open.send_replace(false);
        }
    }

    /// Everything passes again; what was sent meanwhile arrives late, as TCP sends again what was dropped.
    pub(super) fn heal(&self) {
        for relay in &self.all {
            relay.open.send_replace(true);
        }
    }
}

async fn serve(listener: TcpListener, target: String, gate: watch::Receiver<bool>) {
    let mut connections = JoinSet::new();
    loop {
        match listener.accept().await {
            Ok((stream, _)) => {
                connections.spawn(relay(stream, target.clone(), gate.clone()));
            }
            // Out of descriptors, for one: that passes.
            Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
        }
        while connections.try_join_next().is_some() {}
    }
}

/// One connection. A server that is not there closes it, as its kernel would.
async fn relay(mut caller: TcpStream, target: String, mut gate: watch::Receiver<bool>) {
    if open(&mut gate).await.is_none() {
        return;
    }
    let Ok(mut server) = TcpStream::connect(&target).await else { return };
    // Without it the delay would be a second one, on top of the servers' own.
    let _ = (caller.set_nodelay(true), server.set_nodelay(true));
    let ((from_caller, to_caller), (from_server, to_server)) = (caller.split(), server.split());
    // A connection whose one end is gone is of no use to the other.
    tokio::select! {
        _ = pass(from_caller, to_server, gate.clone()) => {}
        _ = pass(from_server, to_caller, gate) => {}
    }
}

/// Passes bytes on while the gate is open, until their end.
async fn pass(
    mut from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
    mut gate: watch::Receiver<bool>,
) -> Option<()> {
    let mut buffer = vec![0; 64 << 10];
    loop {
        let read = from.read(&mut buffer).await.ok().filter(|read| *read > 0);
        // The end of a connection does not pass a cut either.
        open(&mut gate).await?;
        to.write_all(&buffer[..read?]).await.ok()?;
    }
}

/// Waits until the gate is open; none when there is none any more.
async fn open(gate: &mut watch::Receiver<bool>) -> Option<()> {
    gate.wait_for(|open| *open).await.ok().map(|_| ())
}

#[cfg(test)]
mod tests {
    use tokio::time::timeout;

    use super::*;

    const SHORT: Duration = Duration::from_millis(100);
    const LONG: Duration = Duration::from_secs(20);

    async fn echo(listener: TcpListener) {
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let (mut from, mut to) = stream.split();
                let _ = tokio::io::copy(&mut from, &mut to).await;
            });
        }
    }

    #[tokio::test]
    async fn a_cut_is_silent_and_healing_delivers() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let target = listener.local_addr().unwrap().to_string();
        tokio::spawn(echo(listener));
        let relays = Relays::start(&[target.clone(), target.clone(), target]).await.unwrap();
        let mut byte = [0; 1];

        let mut cut = TcpStream::connect(relays.address(0, 1)).await.unwrap();
        let mut whole = TcpStream::connect(relays.address(1, 2)).await.unwrap();
        cut.write_all(b"a").await.unwrap();
        timeout(LONG, cut.read_exact(&mut byte)).await.unwrap().unwrap();

        relays.cut_off(0);
        cut.write_all(b"b").await.unwrap();
        assert!(timeout(SHORT, cut.read_exact(&mut byte)).await.is_err(), "something passed");
        let mut new = TcpStream::connect(relays.address(2, 0)).await.unwrap();
        new.write_all(b"c").await.unwrap();
        assert!(timeout(SHORT, new.read_exact(&mut byte)).await.is_err(), "something passed");
        whole.write_all(b"d").await.unwrap();
        timeout(LONG, whole.read_exact(&mut byte)).await.unwrap().unwrap();

        relays.heal();
        for (stream, sent) in [(&mut cut, b'b'), (&mut new, b'c')] {
            timeout(LONG, stream.read_exact(&mut byte)).await.unwrap().unwrap();
            assert_eq!(byte[0], sent);
        }
    }
}
