//! From stdin or an argument to messages.

use std::{collections::VecDeque, rc::Rc};

use bytes::Bytes;

use crate::{
    config::{self, Source},
    proto::{
        format::{self, JsonMessage},
        framing::{self, Decoder, Framing, Piece},
        link::Kind,
        mqtt::{
            packet::{PublishProperties, QoS, no_properties},
            session::{Lent, Message},
            topic,
        },
    },
};

/// What is the same for every message unless it says otherwise itself.
struct Defaults {
    topics: Vec<Rc<str>>,
    qos: QoS,
    retain: bool,
    properties: Option<Rc<PublishProperties>>,
}

/// Where records come from.
enum From {
    /// Given on the command line: the payload, and how often it is still to be published.
    Fixed { payload: Bytes, left: u64 },
    /// Records of stdin.
    Records { decoder: Box<Decoder>, shape: Shape },
}

/// What a record is.
enum Shape {
    /// The payload.
    Payload,
    /// Topic, separator, payload.
    TopicLine(String),
    /// A line as `sub --json` writes it.
    Json,
}

/// Makes messages. Records are numbered from 1 for error texts.
pub struct Feed {
    from: From,
    defaults: Defaults,
    /// The beginning of a record longer than a fragment.
    partial: Vec<u8>,
    /// Messages of the last record that wait, one a topic.
    ready: VecDeque<Message>,
    record: u64,
    ended: bool,
    /// Nothing to give until more is read.
    dry: bool,
    limit: usize,
}

/// What is wrong with the input; the line says the record.
pub type Refused = String;

impl Feed {
    pub fn new(options: &config::Publish) -> Feed {
        let records =
            |framing, shape| From::Records { decoder: Box::new(Decoder::new(framing, Kind::Binary)), shape };
        let from = match &options.source {
            Source::Message(payload) => From::Fixed { payload: payload.clone(), left: options.repeat },
            Source::Stdin => records(Framing::Whole, Shape::Payload),
            Source::Lines => records(Framing::Line, Shape::Payload),
            Source::Nulls => records(Framing::Null, Shape::Payload),
            Source::Json => records(Framing::Line, Shape::Json),
            Source::TopicLines(separator) => records(Framing::Line, Shape::TopicLine(separator.clone())),
        };
        let plain = options.properties == no_properties();
        let fixed = matches!(from, From::Fixed { .. });
        Feed {
            from,
            defaults: Defaults {
                topics: options.topics.iter().map(|topic| Rc::from(topic.as_str())).collect(),
                qos: options.qos,
                retain: options.retain,
                properties: (!plain).then(|| Rc::new(options.properties.clone())),
            },
            partial: Vec::new(),
            ready: VecDeque::new(),
            record: 0,
            ended: fixed,
            dry: !fixed,
            // The largest packet there is (MQTT 5.0 section 2.1.4).
            limit: 268_435_455,
        }
    }

    /// Whether stdin is the source.
    pub fn reads_stdin(&self) -> bool {
        matches!(self.from, From::Records { .. })
    }

    /// Whether stdin is to be read now.
    pub fn wants_input(&self) -> bool {
        self.dry && !self.ended
    }

    /// All messages have been given.
    pub fn is_done(&self) -> bool {
        self.ended && self.dry && self.ready.is_empty()
    }

    pub fn push(&mut self, data: Bytes) {
        if let From::Records { decoder, .. } = &mut self.from {
            decoder.push(data);
            self.dry = false;
        }
    }

    /// stdin has ended; the last record counts without its end.
    pub fn finish(&mut self) {
        if let From::Records { decoder, .. } = &mut self.from {
            decoder.finish();
        }
        self.ended = true;
        self.dry = false;
    }

    /// The next message. The last one was the last of its repetition where `is_repeat` says so.
    pub fn poll_message(&mut self) -> Result<Option<Message>, Refused> {
        loop {
            if let Some(message) = self.ready.pop_front() {
                return Ok(Some(message));
            }
            if self.dry {
                return Ok(None);
            }
            match self.next_record()? {
                Some(record) => {
                    let made = self.make(record)?;
                    if made.is_some() {
                        return Ok(made);
                    }
                }
                None => self.dry = true,
            }
        }
    }

    /// Lends the next message where it is a whole line here, at QoS 0, for one topic. None says nothing about what
    /// `poll_message` has.
    #[inline]
    pub fn lend_message<R>(&mut self, take: impl FnOnce(Lent<'_>) -> R) -> Option<R> {
        let From::Records { decoder, shape: Shape::Payload } = &mut self.from else { return None };
        let Defaults { topics, qos: QoS::AtMostOnce, retain, properties } = &self.defaults else {
            return None;
        };
        let ([topic], false) = (&topics[..], self.dry) else { return None };
        let (retain, properties) = (*retain, properties.as_deref());
        let taken = decoder.lend_line(|payload| take(Lent { topic, payload, retain, properties }))?;
        self.record += 1;
        Some(taken)
    }

    fn next_record(&mut self) -> Result<Option<Bytes>, Refused> {
        match &mut self.from {
            From::Fixed { left: 0, .. } => Ok(None),
            From::Fixed { payload, left } => {
                *left -= 1;
                Ok(Some(payload.clone()))
            }
            From::Records { decoder, .. } => {
                while let Some(piece) = decoder.poll_piece() {
                    let piece = piece.map_err(|error: framing::Error| error.to_string())?;
                    if let Some(record) = assemble(&mut self.partial, piece, self.limit)? {
                        return Ok(Some(record));
                    }
                }
                Ok(None)
            }
        }
    }

    /// Whether another round of a fixed message is due, after its pause.
    pub fn is_between_rounds(&self) -> bool {
        matches!(self.from, From::Fixed { left, .. } if left > 0) && self.ready.is_empty() && self.record > 0
    }

    /// The first message of a record; the others wait. Most records have one, which never goes through the queue.
    fn make(&mut self, record: Bytes) -> Result<Option<Message>, Refused> {
        self.record += 1;
        let shape = match &self.from {
            From::Fixed { .. } => &Shape::Payload,
            From::Records { shape, .. } => shape,
        };
        match shape {
            Shape::Payload => {
                let Some((first, others)) = self.defaults.topics.split_first() else { return Ok(None) };
                for topic in others {
                    self.ready.push_back(self.defaults.message(Rc::clone(topic), record.clone()));
                }
                Ok(Some(self.defaults.message(Rc::clone(first), record)))
            }
            Shape::TopicLine(separator) => {
                let made = self.defaults.topic_line(&record, separator);
                made.map(Some).map_err(|why| format!("line {}: {why}", self.record))
            }
            Shape::Json => {
                if record.iter().all(u8::is_ascii_whitespace) {
                    return Ok(None);
                }
                let made = format::parse_json(&record).and_then(|json| self.defaults.json(json));
                let mut made = made.map_err(|why| format!("line {}: {why}", self.record))?.into_iter();
                let first = made.next();
                self.ready.extend(made);
                Ok(first)
            }
        }
    }

    /// How many messages are held back, an unfinished record included. Ends the feed.
    pub fn count_rest(&mut self) -> u64 {
        let mut rest = 0;
        let records = self.reads_stdin();
        while records && matches!(self.poll_message(), Ok(Some(_))) {
            rest += 1;
        }
        if let From::Records { decoder, .. } = &self.from {
            rest += u64::from(!decoder.is_empty() || !self.partial.is_empty());
        }
        if let From::Fixed { left, .. } = &self.from {
            rest += left * self.defaults.topics.len() as u64 + self.ready.len() as u64;
        }
        rest
    }
}

impl Defaults {
    fn message(&self, topic: Rc<str>, payload: Bytes) -> Message {
        let (qos, retain) = (self.qos, self.retain);
        Message { topic, payload, qos, retain, properties: self.properties.clone() }
    }

    fn topic_line(&self, line: &Bytes, separator: &str) -> Result<Message, String> {
        let at = memchr::memmem::find(line, separator.as_bytes());
        let at = at.ok_or_else(|| format!("no {separator:?} between topic and payload"))?;
        let topic = std::str::from_utf8(&line[..at]).map_err(|_| "the topic is no UTF-8".to_owned())?;
        topic::check_name(topic).map_err(|why| format!("the topic: {why}"))?;
        Ok(self.message(Rc::from(topic), line.slice(at + separator.len()..)))
    }

    fn json(&self, json: JsonMessage) -> Result<Vec<Message>, String> {
        let topics: Vec<Rc<str>> = match json.topic {
            Some(topic) => vec![Rc::from(topic)],
            None if self.topics.is_empty() => return Err("no topic, and no -t".to_owned()),
            None => self.topics.clone(),
        };
        let properties = json.properties.map(Rc::new).or_else(|| self.properties.clone());
        let mut made = Vec::new();
        for topic in topics {
            topic::check_name(&topic).map_err(|why| format!("the topic: {why}"))?;
            made.push(Message {
                topic,
                payload: json.payload.clone(),
                qos: json.qos.unwrap_or(self.qos),
                retain: json.retain.unwrap_or(self.retain),
                properties: properties.clone(),
            });
        }
        Ok(made)
    }
}

/// Puts a record together from its pieces; one in a single piece is not copied.
fn assemble(partial: &mut Vec<u8>, piece: Piece, limit: usize) -> Result<Option<Bytes>, Refused> {
    if piece.first && piece.last {
        return Ok(Some(piece.payload));
    }
    if partial.len() + piece.payload.len() > limit {
        return Err(format!("a message above the {limit} bytes that MQTT can carry"));
    }
    partial.extend_from_slice(&piece.payload);
    Ok(piece.last.then(|| Bytes::from(std::mem::take(partial))))
}
