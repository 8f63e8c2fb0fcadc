//! What the MQTT commands share: login, session and will.

use std::hash::{BuildHasher, Hasher, RandomState};

use bytes::Bytes;

use super::{Env, check_topic, given, positive, property::Properties, secret};
use crate::{
    cli::{
        command::Command,
        error::UsageError,
        low::LowArgs,
        value::{Expiry, Payload},
    },
    config::{Mqtt, QoS, Version, Will, no_properties, url::Userinfo},
};

/// The longest string or binary field of an MQTT packet (MQTT 5.0 section 1.5.4).
pub const MQTT_FIELD: usize = 65_535;

/// How long `sub` lets the broker keep its session over a lost connection, in seconds.
const SUB_EXPIRY: u32 = 300;

/// Login, session and will. Takes the properties of CONNECT, DISCONNECT and the Will.
///
/// # Errors
/// Options that need another option or another version, a password that cannot be read.
pub fn mqtt(
    low: &LowArgs,
    userinfo: Option<Userinfo>,
    env: Env<'_>,
    properties: &mut Properties,
) -> Result<Mqtt, UsageError> {
    let (username, password) = login(low, userinfo, env)?;
    let client_id = client_id(low)?;
    if low.keep_session && low.id.is_none() {
        return Err(UsageError::new(
            "-c/--disable-clean-session needs -i ID: without a name there is no session to come back to",
        ));
    }
    let will = will(low, properties)?;
    let session_expiry = session_expiry(low, properties)?;
    let version = version(low, password.is_some() && username.is_none())?;
    let mut connect_properties = std::mem::take(&mut properties.connect);
    connect_properties.session_expiry_interval = None;
    Ok(Mqtt {
        version,
        client_id,
        keep_session: low.keep_session,
        session_expiry,
        keep_alive: low.or_default(low.keepalive, "--keepalive"),
        username,
        password,
        will,
        receive_maximum: connect_properties.receive_maximum.take(),
        connect_properties,
        disconnect_session_expiry: properties.disconnect_expiry,
        disconnect_user_properties: std::mem::take(&mut properties.disconnect),
        ack_timeout: positive(low, low.ack_timeout, "--ack-timeout")?,
    })
}

/// -V, or 5.0 where something needs it.
fn version(low: &LowArgs, password_alone: bool) -> Result<Option<Version>, UsageError> {
    let client = &low.client;
    let needs_5 = given(&[
        (low.session_expiry.is_some(), "-x/--session-expiry-interval"),
        (!client.properties.is_empty(), "-D/--property"),
        (client.no_local, "--no-local"),
        (client.retain_as_published, "--retain-as-published"),
        (client.retain_handling.is_some(), "--retain-handling"),
        (low.will_delay_interval.is_some(), "--will-delay-interval"),
        (password_alone, "a password without a user name"),
        (low.command == Command::Rr, "'wspipe rr'"),
    ]);
    match (low.version, needs_5.first()) {
        (Some(Version::V311), Some(what)) => {
            Err(UsageError::new(format_args!("{what} needs MQTT 5.0: not with -V 311")))
        }
        // Falling back to 3.1.1 would drop what was asked for.
        (None, Some(_)) => Ok(Some(Version::V5)),
        (version, _) => Ok(version),
    }
}

/// Of CONNECT; DISCONNECT's must fit it.
fn session_expiry(low: &LowArgs, properties: &Properties) -> Result<Option<u32>, UsageError> {
    let expiry = match (low.session_expiry, properties.connect.session_expiry_interval) {
        (Some(_), Some(_)) => {
            return Err(UsageError::new(
                "-x and -D connect session-expiry-interval contradict each other: say one of them",
            ));
        }
        (Some(Expiry(seconds)), None) => Some(seconds),
        (None, property) => property,
    };
    let default = match low.command {
        _ if low.keep_session => u32::MAX,
        Command::Sub => SUB_EXPIRY,
        _ => 0,
    };
    if expiry.unwrap_or(default) == 0 && properties.disconnect_expiry.is_some_and(|seconds| seconds > 0) {
        return Err(UsageError::new(
            "-D disconnect session-expiry-interval needs -x with more than 0 (MQTT 5.0 section 3.14.2.2.2)",
        ));
    }
    Ok(expiry)
}

/// User name and password: with -u nothing of the URL counts, so that nobody's password goes with
/// another's name; a password from an option goes before the URL's.
fn login(
    low: &LowArgs,
    userinfo: Option<Userinfo>,
    env: Env<'_>,
) -> Result<(Option<String>, Option<Bytes>), UsageError> {
    let given = secret::password(low, env)?;
    let (username, url_password) = match (&low.username, userinfo) {
        (Some(username), _) => (Some(username.clone()), None),
        (None, Some(userinfo)) => {
            let user = String::from_utf8(userinfo.user)
                .map_err(|_| UsageError::new("URL: the user name is not UTF-8, as MQTT wants it"))?;
            // ws://:token@host is how a URL says a password alone.
            (Some(user).filter(|user| !user.is_empty()), userinfo.password.map(Bytes::from))
        }
        (None, None) => (None, None),
    };
    let password = given.or(url_password);
    if let Some(name) = &username {
        field("the user name", name.as_bytes())?;
        if name.contains('\0') {
            return Err(UsageError::new("the user name has a NUL in it, which MQTT does not allow"));
        }
    }
    if let Some(password) = &password {
        field("the password", password)?;
    }
    Ok((username, password))
}

fn client_id(low: &LowArgs) -> Result<Option<String>, UsageError> {
    let id = match (&low.id, &low.id_prefix) {
        (Some(_), Some(_)) => {
            return Err(UsageError::new("-i/--id and -I/--id-prefix contradict each other: say one of them"));
        }
        (Some(id), None) if id.is_empty() => {
            return Err(UsageError::new("-i/--id takes a name, not '': without -i one is generated"));
        }
        (Some(id), None) => Some(id.clone()),
        // Each RandomState of the standard library has keys of its own: enough to be unlike others.
        (None, Some(prefix)) => {
            Some(format!("{prefix}{:08x}", RandomState::new().build_hasher().finish() as u32))
        }
        (None, None) => None,
    };
    if let Some(id) = &id {
        field("the client identifier", id.as_bytes())?;
    }
    Ok(id)
}

fn will(low: &LowArgs, properties: &mut Properties) -> Result<Option<Will>, UsageError> {
    let will = std::mem::replace(&mut properties.will, no_properties());
    let has_properties = will != no_properties();
    let Some(topic) = &low.will_topic else {
        let given = given(&[
            (low.will_payload.is_some(), "--will-payload"),
            (low.will_qos.is_some(), "--will-qos"),
            (low.will_retain, "--will-retain"),
            (low.will_delay_interval.is_some(), "--will-delay-interval"),
            (has_properties || properties.will_delay.is_some(), "-D will"),
        ]);
        return match given.first() {
            Some(name) => Err(UsageError::new(format_args!("{name} needs --will-topic"))),
            None => Ok(None),
        };
    };
    if low.will_delay_interval.is_some() && properties.will_delay.is_some() {
        return Err(UsageError::new(
            "--will-delay-interval and -D will will-delay-interval contradict each other: say one of them",
        ));
    }
    check_topic("--will-topic", topic)?;
    let payload = low.will_payload.clone().map(|Payload(payload)| payload).unwrap_or_default();
    field("--will-payload", &payload)?;
    if will.payload_format_indicator == Some(1) && std::str::from_utf8(&payload).is_err() {
        return Err(UsageError::new(
            "-D will payload-format-indicator 1 says that the payload is UTF-8, and it is not",
        ));
    }
    let qos: QoS = low.or_default(low.will_qos, "--will-qos");
    Ok(Some(Will {
        topic: topic.clone(),
        payload,
        qos,
        retain: low.will_retain,
        delay_interval: low.will_delay_interval.or(properties.will_delay),
        properties: has_properties.then(|| Box::new(will)),
    }))
}

fn field(what: &str, bytes: &[u8]) -> Result<(), UsageError> {
    if bytes.len() <= MQTT_FIELD {
        return Ok(());
    }
    Err(UsageError::new(format_args!("{what} has {} bytes: MQTT takes at most {MQTT_FIELD}", bytes.len())))
}
