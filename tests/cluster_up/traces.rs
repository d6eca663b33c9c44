//! Where a cluster can be seen from outside.

use std::fs;
use std::path::PathBuf;

use crate::place::Place;

/// Of one that runs.
pub(crate) struct Traces {
    /// The first of its processes in namespaces of their own.
    process: u32,
    /// As the kernel names it.
    network: PathBuf,
    cgroups: Vec<PathBuf>,
    files: Vec<PathBuf>,
    /// Outside, before it began.
    mounts: Vec<String>,
}

impl Traces {
    pub(crate) fn of(place: &Place, mounts: Vec<String>) -> Self {
        let serve = fs::read_to_string(place.pid()).expect("it is there while it runs");
        let serve: u32 = serve.trim().parse().expect("it is a process id");
        let process = processes().find(|pid| parent(*pid) == Some(serve));
        let process = process.expect("it has a child, which is inside");
        Self {
            process,
            network: network(process).expect("it runs"),
            cgroups: cgroups(serve),
            files: vec![place.kubeconfig(), place.door(), place.pid()],
            mounts,
        }
    }

    /// A process whose network is that of the cluster.
    pub(crate) fn process(&self) -> u32 {
        self.process
    }

    pub(crate) fn are_there(&self) {
        assert!(self.inside().len() > 5, "etcd, kubelet and all that: {:?}", self.inside());
        assert_ne!(network(std::process::id()).as_ref(), Some(&self.network));
        assert!(!self.cgroups.is_empty());
        for path in self.files.iter().chain(&self.cgroups) {
            assert!(path.exists(), "{}", path.display());
        }
        assert_eq!(mounts(), self.mounts);
    }

    /// A namespace lives as long as a process in it, or a mount of it.
    pub(crate) fn are_gone(&self) {
        assert_eq!(self.inside(), Vec::<u32>::new(), "processes");
        for path in self.files.iter().chain(&self.cgroups) {
            assert!(!path.exists(), "{}", path.display());
        }
        assert_eq!(mounts(), self.mounts);
    }

    fn inside(&self) -> Vec<u32> {
        processes().filter(|pid| network(*pid).as_ref() == Some(&self.network)).collect()
    }
}

/// What such a cluster may mount, where this process sees it.
pub(crate) fn mounts() -> Vec<String> {
    let mounts = fs::read_to_string("/proc/self/mountinfo").expect("it is there");
    let of_cluster =
        |line: &&str| ["oauth-keeper", "kubelet", "nsfs"].iter().any(|word| line.contains(word));
    mounts.lines().filter(of_cluster).map(str::to_owned).collect()
}

fn processes() -> impl Iterator<Item = u32> {
    let folders = fs::read_dir("/proc").expect("it is there");
    folders.flatten().filter_map(|folder| folder.file_name().to_str()?.parse().ok())
}

fn parent(pid: u32) -> Option<u32> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // What follows the name, which may have any letters in it: the state, and then the parent.
    stat.rsplit_once(") ")?.1.split(' ').nth(1)?.parse().ok()
}

fn network(pid: u32) -> Option<PathBuf> {
    fs::read_link(format!("/proc/{pid}/ns/net")).ok()
}

/// One folder, or with cgroup v1 one for each controller.
fn cgroups(serve: u32) -> Vec<PathBuf> {
    let mounts = fs::read_to_string("/proc/self/mounts").expect("it is there");
    let folders = mounts.lines().filter_map(|line| {
        let mut words = line.split(' ').skip(1);
        let (folder, kind) = (words.next()?, words.next()?);
        kind.starts_with("cgroup")
            .then(|| PathBuf::from(folder).join(format!("oauth-keeper-{serve}")))
    });
    folders.filter(|folder| folder.exists()).collect()
}
