//! What `sub` and `rr` print of a message.

use std::fmt;

use mqttbytes::v5::PublishProperties;

use super::{
    Message,
    escape::escape,
    field, json,
    parse::{Field, Options, Piece, parse},
    time::Local,
    zone::Zone,
};

/// How a message is printed. It is made once; writing a message allocates nothing but room in the output,
/// unless control characters are to be escaped.
#[derive(Clone, Debug, PartialEq)]
pub struct Template {
    shape: Shape,
    zone: Zone,
    escape: bool,
}

#[derive(Clone, Debug, PartialEq)]
enum Shape {
    Payload,
    Verbose,
    Json,
    Format(Vec<Piece>),
}

/// What became of a message.
#[must_use = "a record may need its separator, or a warning"]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Written {
    /// A record, to be followed by its separator.
    Record,
    /// Nothing, and no separator is to follow: an empty payload where only payloads are printed.
    Nothing,
    /// A record, to be followed by its separator, that is not what was asked for.
    Unfit(Unfit),
}

/// What a payload is not, though the template takes it as that.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unfit {
    /// `%J`: no JSON. It was written as `payload_base64`.
    Json,
    /// `%f`: not four bytes. Nothing was written.
    Float,
    /// `%d`: not eight bytes. Nothing was written.
    Double,
}

impl fmt::Display for Unfit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Unfit::Json => "the payload is no JSON, %J has it as payload_base64",
            Unfit::Float => "the payload is no float of 4 bytes, %f is left empty",
            Unfit::Double => "the payload is no double of 8 bytes, %d is left empty",
        })
    }
}

impl Template {
    /// The payload, and nothing at all for an empty one.
    pub fn payload() -> Template {
        Template::new(Shape::Payload)
    }

    /// `-v`: topic, blank, payload; `(null)` for an empty payload.
    pub fn verbose() -> Template {
        Template::new(Shape::Verbose)
    }

    /// `--json`: one line that has all of the message, see [`parse_json`](super::parse_json).
    pub fn json() -> Template {
        Template::new(Shape::Json)
    }

    /// `-F`, with the directives of mosquitto_sub 2.1. An error names the place, from 1, and what stands there.
    pub fn parse(text: &str) -> Result<Template, String> {
        Ok(Template::new(Shape::Format(parse(text)?)))
    }

    fn new(shape: Shape) -> Template {
        Template { shape, zone: Zone::utc(), escape: false }
    }

    /// Only payloads are printed.
    pub fn is_plain(&self) -> bool {
        self.shape == Shape::Payload
    }

    /// Whether [`Template::set_zone`] makes a difference.
    pub fn needs_zone(&self) -> bool {
        let Shape::Format(pieces) = &self.shape else { return false };
        pieces.iter().any(is_local_time)
    }

    /// Whether the time of a message makes a difference.
    pub fn needs_time(&self) -> bool {
        let Shape::Format(pieces) = &self.shape else { return self.shape == Shape::Json };
        pieces.iter().any(|piece| is_local_time(piece) || matches!(piece, Piece::Field(Field::Unix, _)))
    }

    /// The zone of the times, which is UTC until then.
    pub fn set_zone(&mut self, zone: Zone) {
        self.zone = zone;
    }

    /// The output is a terminal: what a message has of control characters is written as text, as
    /// [`escape`] does it, while those of the template stay.
    pub fn set_escape(&mut self, escape: bool) {
        self.escape = escape;
    }

    /// Appends a message, without the separator after it.
    #[inline]
    pub fn write(&self, out: &mut Vec<u8>, message: &Message<'_>) -> Written {
        match &self.shape {
            Shape::Payload if message.payload.is_empty() => return Written::Nothing,
            Shape::Payload if !self.escape => out.extend_from_slice(message.payload),
            Shape::Verbose if !self.escape => verbose(out, message),
            Shape::Json => json::line(out, message, self.escape),
            Shape::Format(pieces) => return self.write_pieces(pieces, out, message),
            Shape::Payload => self.push(out, message.payload),
            Shape::Verbose => {
                self.push(out, message.topic.as_bytes());
                out.push(b' ');
                self.push(out, if message.payload.is_empty() { b"(null)" } else { message.payload });
            }
        }
        Written::Record
    }

    fn write_pieces(&self, pieces: &[Piece], out: &mut Vec<u8>, message: &Message<'_>) -> Written {
        let mut printer = Printer { template: self, message, local: None, written: Written::Record };
        for piece in pieces {
            match piece {
                Piece::Literal(text) => out.extend_from_slice(text),
                Piece::Topic => self.push(out, message.topic.as_bytes()),
                Piece::Payload => self.push(out, message.payload),
                Piece::Field(field, options) => printer.field(out, *field, *options),
                Piece::Time(b'N') => printer.local().push_nanos(out),
                Piece::Time(conversion) => printer.local().push(out, *conversion),
            }
        }
        printer.written
    }

    /// Bytes of a message.
    #[inline]
    fn push(&self, out: &mut Vec<u8>, bytes: &[u8]) {
        match self.escape {
            true => out.extend_from_slice(escape(bytes).as_bytes()),
            false => out.extend_from_slice(bytes),
        }
    }
}

fn is_local_time(piece: &Piece) -> bool {
    matches!(piece, Piece::Time(_)) || matches!(piece, Piece::Field(field, _) if field.is_local_time())
}

#[inline]
fn verbose(out: &mut Vec<u8>, message: &Message<'_>) {
    let payload = if message.payload.is_empty() { b"(null)" } else { message.payload };
    out.reserve(message.topic.len() + payload.len() + 2);
    out.extend_from_slice(message.topic.as_bytes());
    out.push(b' ');
    out.extend_from_slice(payload);
}

/// Writes the fields of one message.
struct Printer<'a> {
    template: &'a Template,
    message: &'a Message<'a>,
    /// Found when first asked for.
    local: Option<Local<'a>>,
    written: Written,
}

impl<'a> Printer<'a> {
    fn local(&mut self) -> Local<'a> {
        *self.local.get_or_insert_with(|| Local::new(self.message.time, &self.template.zone))
    }

    fn field(&mut self, out: &mut Vec<u8>, field: Field, options: Options) {
        let message = self.message;
        match field {
            Field::Payload if options == Options::default() => self.template.push(out, message.payload),
            Field::Topic if options == Options::default() => {
                self.template.push(out, message.topic.as_bytes())
            }
            Field::Payload => {
                field::payload(out, message.payload, options, |out, bytes| self.template.push(out, bytes));
            }
            Field::Topic => self.text(out, message.topic.as_bytes(), options),
            Field::QoS => field::number(out, message.qos.into(), 0, b'0'),
            Field::Retain => out.push(b'0' + u8::from(message.retain)),
            Field::PacketId => field::integer(out, message.mid.into(), options),
            Field::Length => field::integer(out, message.payload.len() as u64, options),
            Field::Hex => field::hex(out, message.payload, options, b"0123456789abcdef"),
            Field::UpperHex => field::hex(out, message.payload, options, b"0123456789ABCDEF"),
            Field::Float | Field::Double => self.float(out, field, options),
            Field::Iso8601 => {
                let start = out.len();
                self.local().push_iso8601(out, false);
                field::fit(out, start, options);
            }
            Field::Unix => self.local().push_unix(out),
            Field::Json => {
                json::object(out, message, &self.local(), false, self.template.escape);
            }
            Field::RawJson => self.raw_json(out),
            _ => self.property(out, field, options),
        }
    }

    fn text(&self, out: &mut Vec<u8>, value: &[u8], options: Options) {
        field::text(out, value, options, |out, bytes| self.template.push(out, bytes));
    }

    /// What only MQTT 5.0 has. mosquitto_sub leaves a place for some that are not there, not for all.
    fn property(&self, out: &mut Vec<u8>, field: Field, options: Options) {
        let properties = self.message.properties;
        let number = |get: fn(&PublishProperties) -> Option<u64>| properties.and_then(get);
        let number = match field {
            Field::TopicAlias => number(|p| p.topic_alias.map(u64::from)),
            Field::MessageExpiry => number(|p| p.message_expiry_interval.map(u64::from)),
            Field::PayloadFormat => number(|p| p.payload_format_indicator.map(u64::from)),
            Field::SubscriptionId => number(|p| p.subscription_identifiers.first().map(|&id| id as u64)),
            _ => return self.property_text(out, field, options),
        };
        match number {
            Some(number) => field::integer(out, number, options),
            None => field::blank(out, options),
        }
    }

    fn property_text(&self, out: &mut Vec<u8>, field: Field, options: Options) {
        let properties = self.message.properties;
        match field {
            Field::ContentType => match properties.and_then(|p| p.content_type.as_ref()) {
                Some(text) => self.text(out, text.as_bytes(), options),
                // Of a text; 2.1 has zeros for `%05C`, against its manual.
                None => field::text(out, b"", options, |_, _| {}),
            },
            Field::ResponseTopic => {
                if let Some(topic) = properties.and_then(|p| p.response_topic.as_ref()) {
                    self.text(out, topic.as_bytes(), options);
                }
            }
            Field::CorrelationData => {
                if let Some(data) = properties.and_then(|p| p.correlation_data.as_ref()) {
                    self.template.push(out, data);
                }
            }
            _ => {
                let pairs = properties.map_or(&[][..], |p| &p.user_properties);
                for (at, (name, value)) in pairs.iter().enumerate() {
                    if at > 0 {
                        out.push(b' ');
                    }
                    self.template.push(out, name.as_bytes());
                    out.push(b':');
                    self.template.push(out, value.as_bytes());
                }
            }
        }
    }

    fn float(&mut self, out: &mut Vec<u8>, field: Field, options: Options) {
        // In the byte order of this machine, as mosquitto_sub takes them.
        let value = match field {
            Field::Float => {
                self.message.payload.try_into().ok().map(|bytes| f32::from_ne_bytes(bytes).into())
            }
            _ => self.message.payload.try_into().ok().map(f64::from_ne_bytes),
        };
        match value {
            Some(value) => field::float(out, value, options),
            None if field == Field::Float => self.written = Written::Unfit(Unfit::Float),
            None => self.written = Written::Unfit(Unfit::Double),
        }
    }

    fn raw_json(&mut self, out: &mut Vec<u8>) {
        if !json::object(out, self.message, &self.local(), true, self.template.escape) {
            self.written = Written::Unfit(Unfit::Json);
        }
    }
}

#[cfg(test)]
mod tests;
