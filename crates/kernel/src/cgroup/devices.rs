//! Which devices a control group may use. The rules are kept in the form that version 1 of the
//! kernel keeps them (a default and the exceptions from it), so that both versions decide alike:
//! `v1` writes the difference between two states, `v2` compiles the state into a program.

use crate::{Error, Result};
use rustix::io::Errno;
use std::fmt;

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum DeviceKind {
    /// Both kinds and all numbers.
    All,
    Block,
    Character,
}

/// What one may do with a device: a set of the letters `r`, `w` and `m` (mknod).
/// The bits are those of `bpf_cgroup_dev_ctx.access_type` (linux/bpf.h).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Access(u8);

impl Access {
    pub const NONE: Access = Access(0);
    pub const MKNOD: Access = Access(1);
    pub const READ: Access = Access(2);
    pub const WRITE: Access = Access(4);
    pub const ALL: Access = Access(7);

    /// `None` when `letters` has another letter than `r`, `w` and `m`.
    pub fn parse(letters: &str) -> Option<Access> {
        letters.chars().try_fold(Access::NONE, |access, letter| match letter {
            'r' => Some(access.with(Access::READ)),
            'w' => Some(access.with(Access::WRITE)),
            'm' => Some(access.with(Access::MKNOD)),
            _ => None,
        })
    }

    pub fn bits(self) -> u8 {
        self.0
    }

    fn with(self, other: Access) -> Access {
        Access(self.0 | other.0)
    }

    fn without(self, other: Access) -> Access {
        Access(self.0 & !other.0)
    }

    fn overlaps(self, other: Access) -> bool {
        self.0 & other.0 != 0
    }
}

impl fmt::Display for Access {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (bit, letter) in [(Access::READ, "r"), (Access::WRITE, "w"), (Access::MKNOD, "m")] {
            if self.overlaps(bit) {
                f.write_str(letter)?;
            }
        }
        Ok(())
    }
}

/// One rule; later rules win over earlier ones. A number of `None` is any.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeviceRule {
    pub allow: bool,
    pub kind: DeviceKind,
    pub major: Option<u32>,
    pub minor: Option<u32>,
    pub access: Access,
}

/// A set of devices and what the exception covers: allowed where the default is to deny, and the
/// other way round.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Exception {
    pub kind: DeviceKind,
    pub major: Option<u32>,
    pub minor: Option<u32>,
    pub access: Access,
}

impl Exception {
    fn same_devices(&self, other: &Exception) -> bool {
        (self.kind, self.major, self.minor) == (other.kind, other.major, other.minor)
    }

    fn shares_devices(&self, other: &Exception) -> bool {
        let meets = |a: Option<u32>, b: Option<u32>| a.is_none() || b.is_none() || a == b;
        self.kind == other.kind && meets(self.major, other.major) && meets(self.minor, other.minor)
    }
}

/// As `devices.allow` and `devices.deny` take it: `c 1:3 rwm`.
impl fmt::Display for Exception {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let number = |n: Option<u32>| n.map_or("*".to_owned(), |n| n.to_string());
        let kind = if self.kind == DeviceKind::Block { 'b' } else { 'c' };
        write!(f, "{kind} {}:{} {}", number(self.major), number(self.minor), self.access)
    }
}

/// The state that a list of rules ends in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeviceState {
    pub allow_by_default: bool,
    pub exceptions: Vec<Exception>,
}

/// One write to `devices.allow` or `devices.deny`.
#[derive(Debug, PartialEq, Eq)]
pub struct Write {
    pub allow: bool,
    pub text: String,
}

impl DeviceState {
    /// How a new control group starts.
    pub fn everything() -> DeviceState {
        DeviceState { allow_by_default: true, exceptions: Vec::new() }
    }

    pub fn is_everything(&self) -> bool {
        self.allow_by_default && self.exceptions.is_empty()
    }

    /// `EINVAL` for a rule without access, and for one that takes back a part of a wildcard before it:
    /// version 1 cannot hold that, and would quietly keep the wildcard.
    pub fn of(rules: &[DeviceRule]) -> Result<DeviceState> {
        let mut state = DeviceState::everything();
        for rule in rules {
            let subject = Exception { kind: rule.kind, major: rule.major, minor: rule.minor, access: rule.access };
            if rule.kind == DeviceKind::All {
                state = DeviceState { allow_by_default: rule.allow, exceptions: Vec::new() };
            } else if rule.access == Access::NONE {
                let action =
                    format!("apply device rule {subject:?}: its type must be a, b or c, its access some of r, w and m");
                return Err(Error::new(action, Errno::INVAL));
            } else if rule.allow == state.allow_by_default {
                state.take_back(&subject)?;
            } else {
                state.add(subject);
            }
        }
        Ok(state)
    }

    fn add(&mut self, new: Exception) {
        match self.exceptions.iter_mut().find(|e| e.same_devices(&new)) {
            Some(old) => old.access = old.access.with(new.access),
            None => self.exceptions.push(new),
        }
    }

    fn take_back(&mut self, rule: &Exception) -> Result<()> {
        for old in &mut self.exceptions {
            if old.same_devices(rule) {
                old.access = old.access.without(rule.access);
            } else if old.shares_devices(rule) && old.access.overlaps(rule.access) {
                let action = format!(
                    "apply device rule {rule}: it takes back a part of the earlier rule {old}; name the devices singly"
                );
                return Err(Error::new(action, Errno::INVAL));
            }
        }
        self.exceptions.retain(|e| e.access != Access::NONE);
        Ok(())
    }

    /// Reads `devices.list`. `None` for what cannot be known from it: only allowed devices are listed,
    /// and everything, with or without exceptions, as `a *:* rwm`.
    pub fn parse_list(text: &str) -> Option<DeviceState> {
        let mut state = DeviceState { allow_by_default: false, exceptions: Vec::new() };
        for line in text.lines() {
            let mut words = line.split(' ');
            let kind = match words.next()? {
                "b" => DeviceKind::Block,
                "c" => DeviceKind::Character,
                _ => return None,
            };
            let (major, minor) = words.next()?.split_once(':')?;
            let number = |text: &str| if text == "*" { Some(None) } else { text.parse().ok().map(Some) };
            state.add(Exception {
                kind,
                major: number(major)?,
                minor: number(minor)?,
                access: Access::parse(words.next()?)?,
            });
        }
        Some(state)
    }

    /// The writes that lead to `self` from wherever: `a` sets the default and drops all exceptions.
    pub fn writes_anew(&self) -> Vec<Write> {
        let reset = Write { allow: self.allow_by_default, text: "a".to_owned() };
        let exceptions = self.exceptions.iter().map(|e| Write { allow: !self.allow_by_default, text: e.to_string() });
        std::iter::once(reset).chain(exceptions).collect()
    }

    /// The writes that lead from `self` to `target`, as few as there can be (the kernel takes one
    /// rule a write). With an equal default no allowed device is lost on the way.
    pub fn writes_to(&self, target: &DeviceState) -> Vec<Write> {
        if self.allow_by_default != target.allow_by_default {
            return target.writes_anew();
        }
        let allow = !target.allow_by_default;
        // Additions first, so that nothing that stays allowed is denied in between.
        let surplus = |of: &DeviceState, over: &DeviceState, allow: bool| {
            let kept =
                |e: &Exception| over.exceptions.iter().find(|o| o.same_devices(e)).map_or(Access::NONE, |o| o.access);
            let parts = of.exceptions.iter().map(|e| Exception { access: e.access.without(kept(e)), ..*e });
            parts.filter(|e| e.access != Access::NONE).map(|e| Write { allow, text: e.to_string() }).collect::<Vec<_>>()
        };
        let mut writes = surplus(target, self, allow);
        writes.extend(surplus(self, target, !allow));
        writes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `+c 1:3 rwm` allows, `-` denies; `a` is everything.
    fn rules(text: &str) -> Vec<DeviceRule> {
        let rule = |line: &str| {
            let (allow, words) = (line.starts_with('+'), line[1..].split(' ').collect::<Vec<_>>());
            let number = |text: &str| text.parse().ok();
            let kind = match words[0] {
                "b" => DeviceKind::Block,
                "c" => DeviceKind::Character,
                _ => return DeviceRule { allow, kind: DeviceKind::All, major: None, minor: None, access: Access::ALL },
            };
            let (major, minor) = words[1].split_once(':').unwrap();
            DeviceRule {
                allow,
                kind,
                major: number(major),
                minor: number(minor),
                access: Access::parse(words[2]).unwrap(),
            }
        };
        text.split(", ").filter(|line| !line.is_empty()).map(rule).collect()
    }

    fn writes(from: &str, to: &str) -> String {
        let (from, to) = (DeviceState::of(&rules(from)).unwrap(), DeviceState::of(&rules(to)).unwrap());
        let text = |w: Write| format!("{}{}", if w.allow { '+' } else { '-' }, w.text);
        from.writes_to(&to).into_iter().map(text).collect::<Vec<_>>().join(", ")
    }

    #[test]
    fn writes_are_few_and_in_order() {
        let check = |from: &str, to: &str, expected: &str| assert_eq!(writes(from, to), expected, "{from} => {to}");
        check("", "", "");
        check("", "+a", "");
        check("", "-a", "-a");
        check("", "-a, +c 1:3 rwm, +c 1:3 r, +c 1:5 r, +c 1:5 wm", "-a, +c 1:3 rwm, +c 1:5 rwm");
        check("", "-a, +c *:* m, +b *:* m, +c 136:* rwm", "-a, +c *:* m, +b *:* m, +c 136:* rwm");
        check("-a, +c 1:3 rwm", "-a, +c 1:3 rwm", "");
        check("-a, +c 1:3 rwm, +c 1:5 rw", "-a, +c 1:3 r, +c 1:8 rwm", "+c 1:8 rwm, -c 1:3 wm, -c 1:5 rw");
        check("-a, +c 1:3 rwm", "+a", "+a");
        check("", "-c 10:229 rw", "-c 10:229 rw");
        check("-a, +c 1:3 rwm, -c 1:3 w", "", "+a");
        check("", "-a, +c 1:3 rwm, -c 1:3 w", "-a, +c 1:3 rm");
    }

    #[test]
    fn a_part_of_a_wildcard_cannot_be_taken_back() {
        assert!(DeviceState::of(&rules("-a, +c 1:* rwm, -c 1:3 w")).is_err());
        assert!(DeviceState::of(&rules("-a, +c 1:* r, -c 1:3 w")).is_ok());
        assert!(DeviceState::of(&rules("-a, +b 1:* rwm, -c 1:3 w")).is_ok());
        assert!(DeviceState::of(&rules("-a, +c 1:3 ")).is_err());
    }

    #[test]
    fn the_kernels_list_is_read() {
        assert_eq!(DeviceState::parse_list("a *:* rwm\n"), None);
        assert_eq!(DeviceState::parse_list(""), DeviceState::of(&rules("-a")).ok());
        assert_eq!(
            DeviceState::parse_list("c 1:3 rwm\nb *:* m\n"),
            DeviceState::of(&rules("-a, +c 1:3 rwm, +b *:* m")).ok()
        );
        assert_eq!(DeviceState::parse_list("x 1:3 rwm"), None);
        assert_eq!(Access::parse("rx"), None);
    }
}
