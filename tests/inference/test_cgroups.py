"""What a container may use, in copies of /proc and /sys as real ones have them."""

import sys
from pathlib import Path

import pytest

from edsr_cli.inference import cgroups

GB = 1 << 30
V2_MOUNT = "30 23 0:26 {root} /sys/fs/cgroup rw,nosuid - cgroup2 cgroup2 rw,nsdelegate"
V1_MOUNT = "{number} 31 0:3 {root} /sys/fs/cgroup/{name} rw shared:5 - cgroup cgroup rw,{name}"


class Machine:
    """A folder with `proc` and `sys` in it."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def write(self, path: str, text: object) -> None:
        file = self.root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(f"{text}\n", encoding="ascii")

    def groups(self, path: str, mounts: list[str]) -> None:
        self.write("proc/self/cgroup", path)
        self.write(
            "proc/self/mountinfo", "\n".join(["20 1 8:1 / / rw - ext4 /dev/sda rw", *mounts])
        )

    def v2(self, path: str = "/", root: str = "/") -> None:
        self.groups(f"0::{path}", [V2_MOUNT.format(root=root)])

    def v1(self, path: str, root: str) -> None:
        names = ("memory", "cpu", "cpuset")
        self.groups(
            "\n".join(f"{number}:{name}:{path}" for number, name in enumerate(names, 3)) + "\n0::/",
            [V1_MOUNT.format(number=40 + n, name=name, root=root) for n, name in enumerate(names)],
        )

    def limit(self, group: str, limit: object, used: int, cache: int = 0) -> None:
        """Memory of a group of version 2."""
        self.write(f"sys/fs/cgroup/{group}/memory.max", limit)
        self.write(f"sys/fs/cgroup/{group}/memory.current", used)
        self.write(
            f"sys/fs/cgroup/{group}/memory.stat", f"anon 5\nactive_file 7\ninactive_file {cache}"
        )

    def limit_v1(self, group: str, limit: int, used: int, cache: int, around: int) -> None:
        folder = f"sys/fs/cgroup/memory/{group}"
        self.write(f"{folder}/memory.limit_in_bytes", limit)
        self.write(f"{folder}/memory.usage_in_bytes", used)
        self.write(
            f"{folder}/memory.stat",
            f"inactive_file 3\nhierarchical_memory_limit {around}\ntotal_inactive_file {cache}",
        )


@pytest.fixture
def machine(tmp_path):
    return Machine(tmp_path)


def test_no_container(machine):
    assert cgroups.memory_left(machine.root) is None
    assert cgroups.processors(machine.root) is None
    machine.v2()
    machine.limit("", "max", GB)
    machine.write("sys/fs/cgroup/cpu.max", "max 100000")
    assert cgroups.memory_left(machine.root) is None
    assert cgroups.processors(machine.root) is None


def test_page_cache_is_free(machine):
    """A container that has read a large file looks full, and is not."""
    machine.v2()
    machine.limit("", 4 * GB, 4 * GB - 4096, cache=3 * GB)
    assert cgroups.memory_left(machine.root) == 3 * GB + 4096
    machine.limit("", 4 * GB, 5 * GB, cache=0)
    assert cgroups.memory_left(machine.root) == 0
    machine.limit("", 4 * GB, 100, cache=200)  # the two are not read at the same moment
    assert cgroups.memory_left(machine.root) == 4 * GB


def test_the_narrowest_of_nested_groups_counts(machine):
    """A slice of systemd with a limit, around a service without one."""
    machine.v2("/app.slice/job.service")
    machine.limit("app.slice/job.service", "max", GB)
    machine.limit("app.slice", 2 * GB, GB)
    machine.write("sys/fs/cgroup/app.slice/job.service/cpu.max", "400000 100000")
    machine.write("sys/fs/cgroup/app.slice/cpu.max", "150000 100000")
    assert cgroups.memory_left(machine.root) == GB
    assert cgroups.processors(machine.root) == 1.5
    machine.limit("app.slice/job.service", 3 * GB, 3 * GB - 10)
    assert cgroups.memory_left(machine.root) == 10
    machine.write("sys/fs/cgroup/app.slice/memory.high", GB + 5)  # slowed down from here on
    assert cgroups.memory_left(machine.root) == 5


@pytest.mark.parametrize("path", ["/", "/docker/0123", "/../../other", f"/{300 * 'x'}"])
def test_a_container_that_sees_its_own_group_at_the_top(machine, path):
    machine.v2(path)
    machine.limit("", GB, 1000)
    assert cgroups.memory_left(machine.root) == GB - 1000


@pytest.mark.parametrize(("path", "root"), [("/docker/0123", "/docker/0123"), ("/a", "/")])
def test_version_1(machine, path, root):
    inner = "" if root == path else "a"
    machine.v1(path, root)
    machine.limit_v1(inner, 2 * GB, GB, cache=100, around=1 << 62)
    assert cgroups.memory_left(machine.root) == GB + 100
    # A group around ours whose files are not to be seen.
    machine.limit_v1(inner, (1 << 63) - 4096, GB, cache=0, around=GB + 7)
    assert cgroups.memory_left(machine.root) == 7
    machine.write(f"sys/fs/cgroup/cpu/{inner}/cpu.cfs_quota_us", "-1")
    machine.write(f"sys/fs/cgroup/cpu/{inner}/cpu.cfs_period_us", "100000")
    assert cgroups.processors(machine.root) is None
    machine.write(f"sys/fs/cgroup/cpu/{inner}/cpu.cfs_quota_us", "250000")
    assert cgroups.processors(machine.root) == 2.5


def test_controllers_that_share_a_mount_and_odd_paths(machine):
    machine.groups(
        "5:cpu,cpuacct:/a b",
        ["44 31 0:3 / /sys/fs/a\\040b rw - cgroup cgroup rw,cpu,cpuacct"],
    )
    machine.write("sys/fs/a b/a b/cpu.cfs_quota_us", "50000")
    machine.write("sys/fs/a b/a b/cpu.cfs_period_us", "100000")
    assert cgroups.processors(machine.root) == 0.5


@pytest.mark.parametrize("text", ["", "nonsense", "1:2", "0::", "5:memory"])
def test_nonsense_is_no_limit(machine, text):
    machine.groups(text, ["nonsense", "1 2 3 - cgroup2", "- - -"])
    assert cgroups.memory_left(machine.root) is None
    machine.v2()
    machine.limit("", "lots", 5)
    machine.write("sys/fs/cgroup/cpu.max", "0 0")
    assert cgroups.memory_left(machine.root) is None
    assert cgroups.processors(machine.root) is None


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="there are no such groups")
def test_this_machine():
    assert cgroups.memory_left() is None or cgroups.memory_left() > 0
    assert cgroups.processors() is None or cgroups.processors() > 0
