//! A network that can be cut: a proxy through which all connections go.
//!
//! While it is cut nothing passes, in either direction, and nobody is told: as with a cable that was pulled.

use anyhow::Context as _;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

const PIECE_BYTES: usize = 64 * 1024;

/// A proxy before one address. It ends with the test's runtime.
#[derive(Debug)]
pub struct Proxy {
    /// Where to connect.
    pub address: String,
    cut: watch::Sender<bool>,
}

impl Proxy {
    /// Starts one on a free port.
    pub async fn start(target: &str) -> anyhow::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await.context("listen as a proxy")?;
        let address = listener.local_addr()?.to_string();
        let (cut, is_cut) = watch::channel(false);
        tokio::spawn(accept(listener, target.to_owned(), is_cut));
        Ok(Self { address, cut })
    }

    /// Nothing passes from now on.
    pub fn cut(&self) {
        self.cut.send_replace(true);
    }

    /// All passes again.
    pub fn mend(&self) {
        self.cut.send_replace(false);
    }
}

async fn accept(listener: TcpListener, target: String, is_cut: watch::Receiver<bool>) {
    while let Ok((near, _)) = listener.accept().await {
        tokio::spawn(connect(near, target.clone(), is_cut.clone()));
    }
}

async fn connect(near: TcpStream, target: String, mut is_cut: watch::Receiver<bool>) {
    until_whole(&mut is_cut).await;
    let Ok(far) = TcpStream::connect(target).await else { return };
    let ((near_in, near_out), (far_in, far_out)) = (near.into_split(), far.into_split());
    tokio::spawn(pass(near_in, far_out, is_cut.clone()));
    tokio::spawn(pass(far_in, near_out, is_cut));
}

async fn pass(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, mut is_cut: watch::Receiver<bool>) {
    let mut piece = vec![0; PIECE_BYTES];
    while let Ok(bytes @ 1..) = from.read(&mut piece).await {
        until_whole(&mut is_cut).await;
        if to.write_all(&piece[..bytes]).await.is_err() {
            return;
        }
    }
    until_whole(&mut is_cut).await;
    let _ = to.shutdown().await;
}

async fn until_whole(is_cut: &mut watch::Receiver<bool>) {
    // The sender is gone when the test is over.
    let _ = is_cut.wait_for(|cut| !cut).await;
}
