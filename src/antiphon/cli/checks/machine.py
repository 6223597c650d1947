"""Checks of the machine: Python, processor, memory, disk, folders, limits."""

from __future__ import annotations

import os
import platform
import resource
import shutil
import stat
import tempfile
from pathlib import Path

from antiphon.cli.checks import Finding
from antiphon.cores import cores
from antiphon.runtime import isolation as cut_off
from antiphon.settings import Settings

GIB = 1 << 30
MEMORY_WANTED = 1 * GIB
"""The bundled models and the server take about this much."""
DISK_WANTED = 2 * GIB
DISK_NEEDED = GIB // 4
OPEN_FILES_WANTED = 1024


def python(settings: Settings) -> Finding:
    return Finding("ok", f"{platform.python_implementation()} {platform.python_version()}")


def processor(settings: Settings, cpuinfo: Path = Path("/proc/cpuinfo")) -> Finding:
    """Cores, and whether an x86 processor has the vector instructions that make the engines fast."""
    where = f"{platform.system()} {platform.machine()}, {cores()} cores"
    if platform.machine() not in ("x86_64", "AMD64") or not cpuinfo.exists():
        return Finding("ok", where)
    flags = _flags(cpuinfo.read_text())
    vectors = [name.upper() for name in ("avx2", "avx512f", "avx512_vnni", "amx_int8") if name in flags]
    if "AVX2" not in vectors:
        return Finding("warning", f"{where}, no AVX2", "models run several times slower than on a newer one")
    return Finding("ok", f"{where}, {' '.join(vectors)}")


def _flags(cpuinfo: str) -> set[str]:
    for line in cpuinfo.splitlines():
        name, _, value = line.partition(":")
        if name.strip() == "flags":
            return set(value.split())
    return set()


def memory(settings: Settings, meminfo: Path = Path("/proc/meminfo")) -> Finding:
    """Memory that new processes may take, where the system says it; else all there is."""
    if meminfo.exists():
        fields = dict(line.split(":", 1) for line in meminfo.read_text().splitlines() if ":" in line)
        free, word = int(fields["MemAvailable"].split()[0]) * 1024, "available"
    else:
        free, word = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"), "in all"
    detail = f"{_gib(free)} {word}"
    if free < MEMORY_WANTED:
        return Finding(
            "warning", detail, f"stop other programs: the bundled models want {_gib(MEMORY_WANTED)}"
        )
    return Finding("ok", detail)


def disk(settings: Settings) -> Finding:
    """Free space where the data folder is, or will be."""
    folder = _existing(settings.home_path)
    free = shutil.disk_usage(folder).free
    detail = f"{_gib(free)} free in {folder}"
    fix = "free some space, or choose another data folder with ANTIPHON_HOME"
    if free < DISK_NEEDED:
        return Finding("problem", detail, fix)
    return Finding("warning", detail, fix) if free < DISK_WANTED else Finding("ok", detail)


def data_folder(settings: Settings) -> Finding:
    """Whether the data folder can be written, and by its owner alone."""
    home = settings.home_path
    folder = _existing(home)
    if not os.access(folder, os.W_OK | os.X_OK):
        return Finding("problem", f"{folder} cannot be written", "mend its owner, or set ANTIPHON_HOME")
    if not home.exists():
        return Finding("ok", f"{home} is made at the first start")
    mode = stat.S_IMODE(home.stat().st_mode)
    if mode & 0o077:
        return Finding("warning", f"{home} is open to other users ({mode:04o})", f"chmod 700 {home}")
    return Finding("ok", f"{home} ({mode:04o})")


def temporary_folder(settings: Settings) -> Finding:
    folder = tempfile.gettempdir()
    with tempfile.TemporaryFile(dir=folder) as file:
        file.write(b"x")
        file.flush()
    return Finding("ok", f"{folder} can be written")


def isolation(settings: Settings) -> Finding:
    """Whether engines can be cut off from the network and the data folder."""
    if exposed := cut_off.exposed(settings.home_path):
        fix = "install Antiphon elsewhere than in the data folder, and keep no programs in it"
        return Finding("warning", f"engines are {exposed}", fix)
    if missing := cut_off.lacking():
        fix = "allow user namespaces, in a container too, or give the server a user and a network of its own"
        return Finding("warning", f"engines are {missing}", fix)
    return Finding("ok", "engines are cut off from the network and the data folder")


def open_files(settings: Settings) -> Finding:
    """How many files and connections one process may have open."""
    limit, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if limit != resource.RLIM_INFINITY and limit < OPEN_FILES_WANTED:
        return Finding("warning", f"at most {limit}", f"ulimit -n {4 * OPEN_FILES_WANTED}")
    return Finding("ok", "no limit" if limit == resource.RLIM_INFINITY else f"at most {limit}")


def _existing(folder: Path) -> Path:
    return next(place for place in (folder, *folder.parents) if place.exists())


def _gib(size: int) -> str:
    return f"{size / GIB:.1f} GiB"
