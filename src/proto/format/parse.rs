//! The text of `-F`, read once.

/// The greatest width and precision: a message is never padded to more bytes.
pub const MAX_WIDTH: usize = 10_000;

/// What may split hexadecimal, as in `%.2:x`: ASCII punctuation but `%`, and the blank.
const SEPARATORS: &[u8] = b"!\"#$&'()*+,-./:;<=>?@[\\]^_`{|}~ ";

/// A part of a template.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Piece {
    /// Text as it stands.
    Literal(Vec<u8>),
    /// `%t`, and nothing between.
    Topic,
    /// `%p`, and nothing between.
    Payload,
    /// Something of the message.
    Field(Field, Options),
    /// A conversion of strftime(3), or `N`, nanoseconds.
    Time(u8),
}

/// What a directive names. Numbers and texts take [`Options`] as printf(3) does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Field {
    /// `%A`
    TopicAlias,
    /// `%C`
    ContentType,
    /// `%D`
    CorrelationData,
    /// `%d`
    Double,
    /// `%E`
    MessageExpiry,
    /// `%F`
    PayloadFormat,
    /// `%f`
    Float,
    /// `%I`
    Iso8601,
    /// `%j`
    Json,
    /// `%J`
    RawJson,
    /// `%l`
    Length,
    /// `%m`
    PacketId,
    /// `%P`
    UserProperties,
    /// `%p`
    Payload,
    /// `%q`
    QoS,
    /// `%R`
    ResponseTopic,
    /// `%r`
    Retain,
    /// `%S`
    SubscriptionId,
    /// `%t`
    Topic,
    /// `%U`
    Unix,
    /// `%x`
    Hex,
    /// `%X`
    UpperHex,
}

impl Field {
    fn from_letter(letter: char) -> Option<Field> {
        Some(match letter {
            'A' => Field::TopicAlias,
            'C' => Field::ContentType,
            'D' => Field::CorrelationData,
            'd' => Field::Double,
            'E' => Field::MessageExpiry,
            'F' => Field::PayloadFormat,
            'f' => Field::Float,
            'I' => Field::Iso8601,
            'j' => Field::Json,
            'J' => Field::RawJson,
            'l' => Field::Length,
            'm' => Field::PacketId,
            'P' => Field::UserProperties,
            'p' => Field::Payload,
            'q' => Field::QoS,
            'R' => Field::ResponseTopic,
            'r' => Field::Retain,
            'S' => Field::SubscriptionId,
            't' => Field::Topic,
            'U' => Field::Unix,
            'x' => Field::Hex,
            'X' => Field::UpperHex,
            _ => return None,
        })
    }

    /// Whether it shows when the message came, by the clock on the wall.
    pub(super) fn is_local_time(self) -> bool {
        matches!(self, Field::Iso8601 | Field::Json | Field::RawJson)
    }
}

/// What may stand between `%` and the letter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Options {
    /// `-`
    pub left: bool,
    /// What fills on the left: a blank, or with `0` a zero.
    pub fill: u8,
    /// 0 is none.
    pub width: usize,
    /// After a point.
    pub precision: Option<usize>,
    /// What stands between the parts of `%x`.
    pub separator: u8,
}

impl Default for Options {
    fn default() -> Options {
        Options { left: false, fill: b' ', width: 0, precision: None, separator: b' ' }
    }
}

/// The pieces of `text`, or what is wrong with it, and where.
pub(super) fn parse(text: &str) -> Result<Vec<Piece>, String> {
    let mut reader = Reader { text, at: 0, pieces: Vec::new() };
    while let Some(c) = reader.next() {
        match c {
            '%' => reader.directive()?,
            '@' => reader.time()?,
            '\\' => reader.escape()?,
            _ => reader.literal(c),
        }
    }
    Ok(reader.pieces)
}

struct Reader<'a> {
    text: &'a str,
    /// In bytes.
    at: usize,
    pieces: Vec<Piece>,
}

impl Reader<'_> {
    fn peek(&self) -> Option<char> {
        self.text[self.at..].chars().next()
    }

    fn next(&mut self) -> Option<char> {
        let c = self.peek()?;
        self.at += c.len_utf8();
        Some(c)
    }

    /// Takes `c` if it is the next one.
    fn take(&mut self, c: char) -> bool {
        let found = self.peek() == Some(c);
        if found {
            self.at += c.len_utf8();
        }
        found
    }

    fn literal(&mut self, c: char) {
        let mut buffer = [0; 4];
        let bytes = c.encode_utf8(&mut buffer).as_bytes();
        match self.pieces.last_mut() {
            Some(Piece::Literal(text)) => text.extend_from_slice(bytes),
            _ => self.pieces.push(Piece::Literal(bytes.to_vec())),
        }
    }

    fn directive(&mut self) -> Result<(), String> {
        let start = self.at - 1;
        let mut options = Options { left: self.take('-'), ..Options::default() };
        if self.take('0') {
            options.fill = b'0';
        }
        options.width = self.number(start)?;
        if self.take('.') {
            options.precision = Some(self.number(start)?);
        }
        if let Some(c) = self.peek().filter(|&c| SEPARATORS.iter().any(|&s| char::from(s) == c)) {
            options.separator = c as u8;
            self.at += 1;
        }
        let Some(letter) = self.next() else { return Err(self.wrong(start, "has no letter at its end")) };
        if letter == '%' {
            self.literal('%');
            return Ok(());
        }
        let Some(field) = Field::from_letter(letter) else {
            return Err(self.wrong(start, "is no directive; %% is a percent sign"));
        };
        self.pieces.push(match field {
            Field::Topic if options == Options::default() => Piece::Topic,
            Field::Payload if options == Options::default() => Piece::Payload,
            _ => Piece::Field(field, options),
        });
        Ok(())
    }

    fn time(&mut self) -> Result<(), String> {
        let start = self.at - 1;
        match self.next() {
            None => Err(self.wrong(start, "has no letter after it; @@ is an at sign")),
            Some('@') => {
                self.literal('@');
                Ok(())
            }
            Some(c) if c == 'N' || u8::try_from(c).is_ok_and(|c| super::time::CONVERSIONS.contains(&c)) => {
                self.pieces.push(Piece::Time(c as u8));
                Ok(())
            }
            Some(_) => Err(self.wrong(start, "is no time directive of strftime; @@ is an at sign")),
        }
    }

    fn escape(&mut self) -> Result<(), String> {
        let start = self.at - 1;
        let c = match self.next() {
            None => return Err(self.wrong(start, "has nothing after it; \\\\ is a backslash")),
            Some('\\') => '\\',
            Some('0') => '\0',
            Some('a') => '\x07',
            Some('e') => '\x1b',
            Some('n') => '\n',
            Some('r') => '\r',
            Some('t') => '\t',
            Some('v') => '\x0b',
            Some(_) => {
                return Err(self.wrong(start, "is no escape (\\\\ \\0 \\a \\e \\n \\r \\t \\v are)"));
            }
        };
        self.literal(c);
        Ok(())
    }

    /// Digits, or none, which is 0.
    fn number(&mut self, start: usize) -> Result<usize, String> {
        let mut number = 0_usize;
        while let Some(digit) = self.peek().and_then(|c| c.to_digit(10)) {
            self.at += 1;
            number = number.saturating_mul(10).saturating_add(digit as usize);
        }
        if number > MAX_WIDTH {
            return Err(self.wrong(start, &format!("has a number above {MAX_WIDTH}")));
        }
        Ok(number)
    }

    fn wrong(&self, start: usize, what: &str) -> String {
        let culprit = super::escape(&self.text.as_bytes()[start..self.at]);
        format!("\"{culprit}\" at byte {} {what}", start + 1)
    }
}
