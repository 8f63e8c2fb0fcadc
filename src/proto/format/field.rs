//! Values as printf(3) writes them, appended to a buffer.

use std::io::Write;

use super::parse::Options;

/// A number with `fill` before it up to `width`.
pub(super) fn number(out: &mut Vec<u8>, mut number: u64, width: usize, fill: u8) {
    // 20 digits hold every u64.
    let mut buffer = [0; 20];
    let mut at = buffer.len();
    loop {
        at -= 1;
        buffer[at] = b'0' + (number % 10) as u8;
        number /= 10;
        if number == 0 {
            break;
        }
    }
    let digits = &buffer[at..];
    out.resize(out.len() + width.saturating_sub(digits.len()), fill);
    out.extend_from_slice(digits);
}

/// `%d`: width, `-` and `0`, but no precision.
pub(super) fn integer(out: &mut Vec<u8>, value: u64, options: Options) {
    let start = out.len();
    number(out, value, 0, b'0');
    pad(out, start, 0, options.width, options);
}

/// In place of a value that is not there.
pub(super) fn blank(out: &mut Vec<u8>, options: Options) {
    out.resize(out.len() + options.width, options.fill);
}

/// `%s`: the first `precision` bytes, in `width`; blanks only. `write` may change the bytes on their way.
pub(super) fn text(out: &mut Vec<u8>, value: &[u8], options: Options, write: impl Fn(&mut Vec<u8>, &[u8])) {
    let start = out.len();
    let length = options.precision.map_or(value.len(), |most| most.min(value.len()));
    write(out, &value[..length]);
    pad(out, start, 0, options.width, Options { fill: b' ', ..options });
}

/// The same for text that was written from `start` on, and is ASCII.
pub(super) fn fit(out: &mut Vec<u8>, start: usize, options: Options) {
    let most = options.precision.unwrap_or(usize::MAX);
    out.truncate(start.saturating_add(most));
    pad(out, start, 0, options.width, Options { fill: b' ', ..options });
}

/// `%p`: `width` is also the most that is written.
pub(super) fn payload(
    out: &mut Vec<u8>,
    value: &[u8],
    options: Options,
    write: impl Fn(&mut Vec<u8>, &[u8]),
) {
    let start = out.len();
    let length = if options.width == 0 { value.len() } else { value.len().min(options.width) };
    write(out, &value[..length]);
    pad(out, start, 0, options.width, options);
}

/// `%x` and `%X`: at most `width` bytes of the payload, in `width` digits at least, and a separator after each
/// `precision` of them but the last.
pub(super) fn hex(out: &mut Vec<u8>, value: &[u8], options: Options, digits: &[u8; 16]) {
    let length = if options.width == 0 { value.len() } else { value.len().min(options.width) };
    let padding = options.width.saturating_sub(length * 2);
    let before = if options.left { 0 } else { padding };
    let every = options.precision.unwrap_or(0);
    let nibbles = value[..length].iter().flat_map(|byte| [byte >> 4, byte & 15]);
    let symbols =
        std::iter::repeat_n(options.fill, before).chain(nibbles.map(|nibble| digits[usize::from(nibble)]));
    let last = before + length * 2;
    out.reserve(last);
    if every == 0 {
        out.extend(symbols);
    } else {
        for (at, symbol) in (1..).zip(symbols) {
            out.push(symbol);
            if at % every == 0 && at < last {
                out.push(options.separator);
            }
        }
    }
    if options.left {
        out.resize(out.len() + padding, b' ');
    }
}

/// `%f`: six digits after the point unless `precision` says otherwise.
pub(super) fn float(out: &mut Vec<u8>, value: f64, options: Options) {
    let start = out.len();
    if value.is_sign_negative() {
        out.push(b'-');
    }
    let sign = out.len() - start;
    if value.is_nan() {
        out.extend_from_slice(b"nan");
    } else if value.is_infinite() {
        out.extend_from_slice(b"inf");
    } else {
        // Writing to a Vec does not fail.
        let _ = write!(out, "{:.*}", options.precision.unwrap_or(6), value.abs());
    }
    match value.is_finite() {
        true => pad(out, start, if options.fill == b'0' { sign } else { 0 }, options.width, options),
        false => pad(out, start, 0, options.width, Options { fill: b' ', ..options }),
    }
}

/// Widens what was written from `start` on; filling on the left leaves the first `sign` bytes in front.
fn pad(out: &mut Vec<u8>, start: usize, sign: usize, width: usize, options: Options) {
    let end = out.len();
    let Some(missing) = width.checked_sub(end - start).filter(|&missing| missing > 0) else { return };
    out.resize(end + missing, b' ');
    if !options.left {
        let from = start + sign;
        out.copy_within(from..end, from + missing);
        out[from..from + missing].fill(options.fill);
    }
}
