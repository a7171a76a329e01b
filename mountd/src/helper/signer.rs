//! `signer`: has hashes signed by a token or a proxy. Loads the foreign library, opens the socket and
//! reads the PIN, none of which core or monitor do.

mod proxy;
mod token;

use super::http::Identity;
use crate::monitor::message::{receive, send};
use crossbeam_channel::bounded;
use proxy::Proxy;
use serde::{Deserialize, Serialize};
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::PathBuf;
use token::Token;

/// How many signatures are under way at once.
const HANDS: usize = 4;
/// How many more may wait here.
const WAITING: usize = 64;

/// What is to be signed with, as the monitor was told. No secret is in it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct SignerWork {
    /// The name of the key.
    pub(crate) kid: String,
    pub(crate) place: SignerPlace,
}

/// Where the key is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum SignerPlace {
    /// In a token: the label of the key is its name.
    Token {
        /// The library that speaks to it (PKCS#11).
        module: PathBuf,
        /// The token's label.
        token: String,
        /// The file with the PIN.
        pin_file: PathBuf,
    },
    /// Behind a proxy.
    Proxy {
        /// Where it is; `/sign` and `/health` come behind.
        url: String,
        /// Whom to trust, and as whom to come.
        identity: Identity,
    },
}

/// What the core wants.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Order {
    /// Comes back with the answer: answers come in any order.
    pub(crate) number: u64,
    pub(crate) want: Want,
}

/// One of two things.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum Want {
    /// A signature over these 32 bytes, in hex.
    Sign(String),
    /// To know whether there would be one.
    Look,
}

/// What came of it.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Reply {
    pub(crate) number: u64,
    /// A signature in base64, or nothing for a look; or why not, in words.
    pub(crate) outcome: Result<String, String>,
}

/// What has signatures made, one at a time; each hand has its own.
trait Hand {
    fn sign(&mut self, hash: &[u8; 32]) -> Result<[u8; 64], String>;
    fn look(&mut self) -> Result<(), String>;
}

/// The helper: answers orders on `socket`, until the core is gone.
pub(super) fn serve(socket: &OwnedFd, work: &SignerWork) -> io::Result<()> {
    let (orders, waiting) = bounded::<Order>(WAITING);
    let module = token::Module::default();
    std::thread::scope(|scope| {
        for _ in 0..HANDS {
            let (waiting, module) = (waiting.clone(), &module);
            scope.spawn(move || {
                let mut hand = work.hand(module);
                for order in waiting {
                    answer(socket, &mut *hand, &order);
                }
            });
        }
        drop(waiting);
        while let Some((order, _)) = receive::<Order>(socket.as_fd())? {
            orders.send(order).map_err(io::Error::other)?;
        }
        drop(orders);
        Ok(())
    })
}

fn answer(socket: &OwnedFd, hand: &mut dyn Hand, order: &Order) {
    let outcome = match &order.want {
        Want::Sign(hash) => match ward_policy::Digest::from_hex(hash) {
            Some(hash) => hand.sign(hash.as_bytes()).map(|signature| base64(&signature)),
            None => Err("what is to be signed is no hash".to_owned()),
        },
        Want::Look => hand.look().map(|()| String::new()),
    };
    // The core is gone, and this process goes with it.
    let _nobody_waits = send(socket.as_fd(), &Reply { number: order.number, outcome }, &[]);
}

fn base64(bytes: &[u8]) -> String {
    use base64::Engine as _;
    base64::engine::general_purpose::STANDARD.encode(bytes)
}

impl SignerWork {
    fn hand<'a>(&'a self, module: &'a token::Module) -> Box<dyn Hand + 'a> {
        match &self.place {
            SignerPlace::Token { module: library, token, pin_file } => {
                Box::new(Token::new(module, library, (token, &self.kid), pin_file))
            }
            SignerPlace::Proxy { url, identity } => Box::new(Proxy::new(url, &self.kid, identity)),
        }
    }
}
