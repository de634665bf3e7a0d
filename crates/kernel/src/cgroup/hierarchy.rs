//! The hierarchies of version 1: which controllers we know, and a mounted tree with those that share
//! it. `layout` finds them, `v1` works in them.

use std::path::PathBuf;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Controller {
    Memory,
    Cpuacct,
    Pids,
    Blkio,
    Devices,
    Cpu,
    Cpuset,
    Freezer,
    Hugetlb,
    NetCls,
    NetPrio,
    Rdma,
    /// No controllers, but systemd finds the processes of its units there, and kills them with the
    /// unit: a container must leave the unit of whoever started it.
    Systemd,
    Unified,
}

impl Controller {
    /// In the order in which hierarchies are made.
    pub const ALL: [Controller; 14] = [
        Controller::Memory,
        Controller::Cpuacct,
        Controller::Pids,
        Controller::Blkio,
        Controller::Devices,
        Controller::Cpu,
        Controller::Cpuset,
        Controller::Freezer,
        Controller::Hugetlb,
        Controller::NetCls,
        Controller::NetPrio,
        Controller::Rdma,
        Controller::Systemd,
        Controller::Unified,
    ];

    /// The usual name of the directory it is mounted on.
    pub fn directory(self) -> &'static str {
        match self {
            Controller::Memory => "memory",
            Controller::Cpuacct => "cpuacct",
            Controller::Pids => "pids",
            Controller::Blkio => "blkio",
            Controller::Devices => "devices",
            Controller::Cpu => "cpu",
            Controller::Cpuset => "cpuset",
            Controller::Freezer => "freezer",
            Controller::Hugetlb => "hugetlb",
            Controller::NetCls => "net_cls",
            Controller::NetPrio => "net_prio",
            Controller::Rdma => "rdma",
            Controller::Systemd => "systemd",
            Controller::Unified => "unified",
        }
    }

    /// Its name among the mount options.
    pub fn option(self) -> &'static str {
        if self == Controller::Systemd { "name=systemd" } else { self.directory() }
    }

    /// Whether it is a controller of version 1, and not a bare tree of processes.
    pub fn limits(self) -> bool {
        !matches!(self, Controller::Systemd | Controller::Unified)
    }
}

/// One mounted tree of groups with the controllers that share it.
#[derive(Debug, Clone)]
pub struct Hierarchy {
    pub mount: PathBuf,
    controllers: u16,
}

impl Hierarchy {
    pub fn new(mount: PathBuf, controller: Controller) -> Hierarchy {
        Hierarchy { mount, controllers: 1 << controller as u16 }
    }

    pub fn add(&mut self, controller: Controller) {
        self.controllers |= 1 << controller as u16;
    }

    pub fn has(&self, controller: Controller) -> bool {
        self.controllers & 1 << controller as u16 != 0
    }
}
