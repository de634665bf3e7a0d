//! A group in two steps. On version 1 it is up to a dozen directories, which take a millisecond to make: a new process
//! need not wait for them as long as it is busy with something else. What clone3 must be given (version 2, alone or
//! beside version 1) is there from the beginning, because moving a process there later waits for all others.

use crate::Result;
use crate::cgroup::hierarchy::Hierarchy;
use crate::cgroup::{Cgroup, Entry, Layout, Resources, v1, v2};
use std::cell::RefCell;

/// A group of which only its name is sure: the caller removes it ([`Cgroup::remove`]) if it shall not stay.
#[derive(Debug)]
pub struct Making {
    group: Cgroup,
    rest: RefCell<Option<Rest>>,
}

#[derive(Debug)]
struct Rest {
    hierarchies: Vec<Hierarchy>,
    name: String,
    resources: Resources,
    adopts: bool,
}

impl Layout {
    /// Begins what [`Layout::create`] does, with the same errors as far as they can be known without the group.
    pub fn begin(&self, name: &str, resources: &Resources) -> Result<Making> {
        match self {
            Layout::V1(hierarchies) if v1::can_wait(hierarchies, name, resources)? => {
                Making::of_v1(hierarchies, name, resources, false)
            }
            _ => self.create(name, resources).map(Making::from),
        }
    }

    /// Begins what [`Layout::create_or_adopt`] does.
    pub fn begin_or_adopt(&self, name: &str, resources: &Resources) -> Result<Making> {
        match self {
            Layout::V1(hierarchies) => {
                v1::begin_adopting(hierarchies, name, resources)?;
                Making::of_v1(hierarchies, name, resources, true)
            }
            Layout::V2(mount) => {
                v2::create_or_adopt(mount, name, resources).map(|group| Making::from(Cgroup::V2(group)))
            }
        }
    }
}

/// One that is complete.
impl From<Cgroup> for Making {
    fn from(group: Cgroup) -> Making {
        Making { group, rest: RefCell::default() }
    }
}

impl Making {
    fn of_v1(hierarchies: &[Hierarchy], name: &str, resources: &Resources, adopts: bool) -> Result<Making> {
        let group = v1::open(hierarchies, name).map(Cgroup::V1)?;
        let rest =
            Rest { hierarchies: hierarchies.to_vec(), name: name.to_owned(), resources: resources.clone(), adopts };
        Ok(Making { group, rest: RefCell::new(Some(rest)) })
    }

    pub fn group(&self) -> &Cgroup {
        &self.group
    }

    pub fn is_complete(&self) -> bool {
        self.rest.borrow().is_none()
    }

    /// For a process that is made now. If the group is not complete, with no more than clone3 needs: the process
    /// enters the rest by [`Cgroup::entry`] once it is.
    pub fn entry(&self) -> Result<Entry> {
        match &self.group {
            Cgroup::V1(group) if !self.is_complete() => group.entry_of_clone(),
            group => group.entry(),
        }
    }

    /// Makes what is missing and sets the limits. On an error what the beginning made is left.
    pub fn complete(&self) -> Result<()> {
        let Some(rest) = self.rest.take() else { return Ok(()) };
        let made = if rest.adopts {
            v1::adopt(&rest.hierarchies, &rest.name, &rest.resources)
        } else {
            v1::create(&rest.hierarchies, &rest.name, &rest.resources)
        };
        made.map(drop)
    }
}
