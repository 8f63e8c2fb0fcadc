//! What a row of the flag table is, and how a flag is found. The rows are in `table`.

use super::{command::Command, table::FLAGS};

/// A set of commands, one bit each.
pub type Set = u16;

/// The headings of the help.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Group {
    /// What is sent and what is expected.
    Test,
    /// What is sent and how messages stand on stdin and stdout.
    Messages,
    /// Topic Filters and what of them is wanted.
    Subscription,
    /// What ends it.
    End,
    /// MQTT login and session.
    Session,
    /// The Will Message.
    Will,
    /// From the name to the upgrade.
    Connection,
    /// TLS.
    Tls,
    /// Log lines and help.
    Output,
}

impl Group {
    /// In the order of the help.
    pub const ALL: [Group; 9] = [
        Group::Test,
        Group::Subscription,
        Group::Messages,
        Group::End,
        Group::Session,
        Group::Will,
        Group::Connection,
        Group::Tls,
        Group::Output,
    ];

    /// The heading.
    pub fn title(self) -> &'static str {
        match self {
            Group::Test => "Test",
            Group::Messages => "Messages",
            Group::Subscription => "Subscription",
            Group::End => "End",
            Group::Session => "Login and session",
            Group::Will => "Will",
            Group::Connection => "Connection",
            Group::Tls => "TLS",
            Group::Output => "Output",
        }
    }
}

/// A row of the table. Built by [`switch`] or [`option`] and the methods after it.
#[derive(Debug)]
pub struct Flag {
    /// The long name, with its dashes: what every spelling is rewritten to.
    pub long: &'static str,
    /// Other long names.
    pub aliases: &'static [&'static str],
    /// The letter, and the commands where it means this flag.
    pub short: Option<(char, Set)>,
    /// What the value is called; none for a switch.
    pub value: Option<&'static str>,
    /// All that the value can be, where its name does not say it (`0|1|2` does).
    pub one_of: &'static [&'static str],
    /// The value where the flag stands alone: another is then taken only behind a `=`.
    pub alone: Option<&'static str>,
    /// The value where the flag is not given, as it would be typed.
    pub default: Option<&'static str>,
    /// Every occurrence counts; elsewhere the last one does.
    pub repeatable: bool,
    /// The commands that have it.
    pub commands: Set,
    /// Its heading.
    pub group: Group,
    /// One line.
    pub help: &'static str,
    /// What `wspipe help COMMAND` adds.
    pub more: &'static str,
    /// What to say where a URL, or nothing, came as the value: the flag of another tool that was meant.
    pub not_a_url: Option<&'static str>,
}

/// A flag without a value.
pub const fn switch(long: &'static str, commands: Set, group: Group, help: &'static str) -> Flag {
    Flag {
        long,
        aliases: &[],
        short: None,
        value: None,
        one_of: &[],
        alone: None,
        default: None,
        repeatable: false,
        commands,
        group,
        help,
        more: "",
        not_a_url: None,
    }
}

/// A flag with one value.
pub const fn option(
    long: &'static str,
    value: &'static str,
    commands: Set,
    group: Group,
    help: &'static str,
) -> Flag {
    let mut flag = switch(long, commands, group, help);
    flag.value = Some(value);
    flag
}

impl Flag {
    /// With a letter, in some of its commands.
    pub const fn short(mut self, letter: char, commands: Set) -> Flag {
        self.short = Some((letter, commands));
        self
    }

    /// With other long names.
    pub const fn aliases(mut self, aliases: &'static [&'static str]) -> Flag {
        self.aliases = aliases;
        self
    }

    /// With the only values there are.
    pub const fn one_of(mut self, values: &'static [&'static str]) -> Flag {
        self.one_of = values;
        self
    }

    /// With a value for when none is behind it with a `=`.
    pub const fn alone(mut self, value: &'static str) -> Flag {
        self.alone = Some(value);
        self
    }

    /// With a value for when it is not given.
    pub const fn default(mut self, default: &'static str) -> Flag {
        self.default = Some(default);
        self
    }

    /// To be given more than once.
    pub const fn repeatable(mut self) -> Flag {
        self.repeatable = true;
        self
    }

    /// With more text.
    pub const fn more(mut self, more: &'static str) -> Flag {
        self.more = more;
        self
    }

    /// With an answer to a URL, or to nothing, as its value.
    pub const fn not_a_url(mut self, answer: &'static str) -> Flag {
        self.not_a_url = Some(answer);
        self
    }

    /// Whether `command` has it.
    pub fn is_of(&self, command: Command) -> bool {
        self.commands & command.set() != 0
    }

    /// Its letter in `command`.
    pub fn letter(&self, command: Command) -> Option<char> {
        self.short.filter(|(_, commands)| commands & command.set() != 0).map(|(letter, _)| letter)
    }

    /// For the help: `--topic FILTER`, `--timing[=WHEN]`.
    pub fn with_value(&self) -> String {
        match (self.value, self.alone) {
            (None, _) => self.long.to_owned(),
            (Some(value), None) => format!("{} {value}", self.long),
            (Some(value), Some(_)) => format!("{}[={value}]", self.long),
        }
    }

    /// For messages: `-t/--topic`.
    pub fn spelling(&self, command: Command) -> String {
        match self.letter(command) {
            Some(letter) => format!("-{letter}/{}", self.long),
            None => self.long.to_owned(),
        }
    }
}

/// The flags of a command.
pub fn of(command: Command) -> impl Iterator<Item = &'static Flag> {
    FLAGS.iter().filter(move |flag| flag.is_of(command))
}

/// The flags of all commands.
pub fn all() -> impl Iterator<Item = &'static Flag> {
    FLAGS.iter()
}

/// By long name or alias, dashes included.
pub fn by_long(command: Command, long: &str) -> Option<&'static Flag> {
    of(command).find(|flag| flag.long == long || flag.aliases.contains(&long))
}

/// By letter.
pub fn by_letter(command: Command, letter: char) -> Option<&'static Flag> {
    of(command).find(|flag| flag.letter(command) == Some(letter))
}
