//! Why a certificate is not trusted, and what it says of itself.

use std::fmt;

use crate::proto::format::excerpt;

/// The most names of a certificate that a message shows.
const NAMES_SHOWN: usize = 8;

/// Why a certificate is not trusted, with what is known of it. Its texts are as sent: `Display` escapes them and
/// bounds them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Distrust {
    /// What is wrong.
    pub fault: Fault,
    /// How far from the server's own certificate (0) towards the root the one with the fault is.
    pub depth: u32,
    /// Its subject, if it can be told.
    pub subject: Option<String>,
    /// Its issuer, if it can be told.
    pub issuer: Option<String>,
}

/// What is wrong with a certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Signed by nobody known here.
    UnknownIssuer,
    /// The same, where no CA is known here at all: the system has no certificates.
    NoRoots,
    /// Signed by itself and not known here.
    SelfSigned,
    /// Past its validity, which ended then.
    Expired(Option<String>),
    /// Before its validity, which begins then.
    NotYetValid(Option<String>),
    /// It is not for this name, but for those, if they can be told.
    WrongName {
        /// The name that was asked for.
        wanted: String,
        /// The names in it.
        names: Option<Vec<String>>,
    },
    /// Anything else, in the TLS library's words.
    Other(String),
}

impl Distrust {
    /// A fault of the server's own certificate, of which nothing more is known.
    pub fn bare(fault: Fault) -> Distrust {
        Distrust { fault, depth: 0, subject: None, issuer: None }
    }

    /// Whether another CA might make it trusted.
    #[cfg_attr(not(feature = "tls"), expect(dead_code))]
    pub(in crate::net) fn wants_ca(&self) -> bool {
        matches!(self.fault, Fault::UnknownIssuer | Fault::SelfSigned)
    }

    pub(super) fn hint(&self) -> String {
        let text = match &self.fault {
            Fault::UnknownIssuer if self.depth == 0 && self.issuer.is_some() => {
                "--cafile FILE names the CA to trust (PEM); where that issuer is an intermediate CA, the server \
                 should send its certificate too; --insecure checks nothing"
            }
            Fault::UnknownIssuer => "--cafile FILE names the CA to trust (PEM); --insecure checks nothing",
            Fault::NoRoots => {
                "install the package ca-certificates, or name the CA to trust: --cafile FILE (PEM)"
            }
            Fault::SelfSigned => {
                "--cafile FILE with this certificate or its root (PEM) trusts it; --insecure checks nothing"
            }
            Fault::Expired(_) | Fault::NotYetValid(_) => "is this clock right? --insecure checks nothing",
            Fault::WrongName { .. } => "--servername NAME asks for and checks another name",
            Fault::Other(_) => "--insecure checks nothing",
        };
        text.to_owned()
    }
}

impl fmt::Display for Distrust {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = |text: &Option<String>| text.as_ref().map(|text| excerpt(text.as_bytes()));
        match (&self.fault, self.depth, shown(&self.subject)) {
            // These are about another certificate than the one with the fault.
            (Fault::UnknownIssuer | Fault::NoRoots | Fault::SelfSigned, ..) | (_, 0, _) => {}
            (_, _, Some(subject)) => write!(f, "of the CA {subject} in its chain: ")?,
            (_, depth, None) => write!(f, "of CA number {depth} in its chain: ")?,
        }
        let issuer = shown(&self.issuer);
        match &self.fault {
            Fault::UnknownIssuer | Fault::NoRoots => {
                f.write_str("its issuer is unknown here")?;
                issuer.map_or(Ok(()), |issuer| write!(f, ": {issuer}"))?;
                match (&self.fault, self.depth) {
                    (Fault::NoRoots, _) => f.write_str("; no CA certificates were found on this system"),
                    (_, 0) if self.issuer.is_some() => {
                        f.write_str(", whose certificate the server did not send")
                    }
                    _ => Ok(()),
                }
            }
            Fault::SelfSigned if self.depth > 0 => {
                f.write_str("its root is unknown here")?;
                issuer.map_or(Ok(()), |issuer| write!(f, ": {issuer}"))
            }
            Fault::SelfSigned => f.write_str("it is self-signed, and not known here"),
            Fault::Expired(Some(when)) => write!(f, "it expired on {when}"),
            Fault::Expired(None) => f.write_str("it has expired"),
            Fault::NotYetValid(Some(when)) => write!(f, "it is not yet valid, but from {when} on"),
            Fault::NotYetValid(None) => f.write_str("it is not yet valid"),
            Fault::WrongName { wanted, names } => {
                write!(f, "it is not for {}", excerpt(wanted.as_bytes()))?;
                names.as_ref().map_or(Ok(()), |names| write_names(f, names))
            }
            Fault::Other(text) => f.write_str(&excerpt(text.as_bytes())),
        }
    }
}

fn write_names(f: &mut fmt::Formatter<'_>, names: &[String]) -> fmt::Result {
    if names.is_empty() {
        return f.write_str(", nor for any other host: there is no name in it");
    }
    let shown = names.iter().take(NAMES_SHOWN).map(String::as_str).collect::<Vec<_>>().join(", ");
    write!(f, ", but for {}", excerpt(shown.as_bytes()))?;
    match names.len().saturating_sub(NAMES_SHOWN) {
        0 => Ok(()),
        more => write!(f, " and {more} more"),
    }
}
