"""Real programs for bench/run: a file system with the host's own programs and something for each to
do, and the list of commands that Guests/programs runs in it."""

import os
import random
import re
import shutil
import subprocess

import initrd

# Name, and command with tabs between its words; see Guests/programs/main.c.
COMMANDS = {
    "openssl": ["/usr/bin/openssl", "dgst", "-sha512", "/data/big"],
    "xz": ["/usr/bin/xz", "-2", "-c", "/data/text"],
    "bzip2": ["/usr/bin/bzip2", "-c", "/data/text"],
    "gzip": ["/usr/bin/gzip", "-n", "-c", "/data/text"],
    "sqlite3": ["/usr/bin/sqlite3", ":memory:", "</data/script.sql"],
    "python3": ["/usr/bin/python3", "-I", "-S", "/data/script.py"],
    "cc1": ["{cc1}", "-quiet", "-fpreprocessed", "-O2", "/data/program.i", "-o", "/tmp/program.s"],
    "git": ["/usr/bin/git", "-c", "safe.directory=*", "-C", "/data/repository", "log", "-p"],
    "sort": ["/usr/bin/sort", "/data/lines"],
    "awk": ["/usr/bin/awk", "{words}", "/data/lines"],
}
TITLES = {
    "openssl": "openssl dgst -sha512", "xz": "xz -2", "bzip2": "bzip2", "gzip": "gzip",
    "sqlite3": "sqlite3 on a script", "python3": "python3 on a script", "cc1": "gcc -O2 of a C file",
    "git": "git log -p", "sort": "sort", "awk": "awk, counting words",
}

WORDS = "{for(i=1;i<=NF;i++)n[$i]++}END{for(w in n)s+=n[w]*length(w);print s}"

SQL = """
create table t(a integer, b text, c real);
with recursive n(i) as (select 1 union all select i + 1 from n where i < 40000)
  insert into t select (i * 7919) % 10007, 'row ' || (i % 977), i * 0.5 from n;
create index ta on t(a);
select count(*), sum(x.a), max(y.b) from t x join t y on y.a = x.a where x.c < 3000;
select b, count(*), avg(c) from t group by b order by 3 desc limit 10;
"""

FUNCTION = """
struct pairNUMBER { int key; double value; struct pairNUMBER *next; };
static int compareNUMBER(const struct pairNUMBER *a, const struct pairNUMBER *b) {
  return a->key < b->key ? -1 : a->key > b->key ? 1 : a->value < b->value ? -1 : 1;
}
double workNUMBER(struct pairNUMBER *list, int *table, int size) {
  double sum = 0;
  for (struct pairNUMBER *one = list; one; one = one->next) {
    for (int i = 0; i < size; i++) {
      switch (table[i] & 7) {
        case 0: sum += one->value * i; break;
        case 1: sum -= table[i ^ 1]; break;
        case 2: table[i] += one->key; break;
        case 5: if (one->next && compareNUMBER(one, one->next) > 0) sum *= 1.5; break;
        default: sum += table[i] % NUMBER7;
      }
    }
  }
  return sum;
}
"""

PYTHON = """
def words(n):
    value, found = 7, {}
    for _ in range(n):
        value = (value * 1103515245 + 12345) & 0x7fffffff
        key = "w%d" % (value % 5003)
        found[key] = found.get(key, 0) + 1
    return sorted(found.items(), key=lambda pair: (-pair[1], pair[0]))

class Node:
    def __init__(self, left, right):
        self.left, self.right = left, right

def tree(depth):
    return Node(tree(depth - 1), tree(depth - 1)) if depth else None

def count(node):
    return 1 + count(node.left) + count(node.right) if node else 0

print(words(120000)[:3], count(tree(14)), sum(x * x % 7 for x in range(200000)))
"""


def run(*command, **options):
    return subprocess.run(command, check=True, capture_output=True, text=True, **options).stdout


def copy(tree, path):
    """Copies a file to the same place in the tree, with what it is linked to."""
    target = tree + path
    if not os.path.exists(target):
        os.makedirs(os.path.dirname(target), exist_ok=True)
        shutil.copy(os.path.realpath(path), target)


def copy_program(tree, path):
    copy(tree, path)
    result = subprocess.run(["ldd", os.path.realpath(path)], capture_output=True, text=True,
                            check=False)
    for library in re.findall(r"(/\S+) \(0x", result.stdout):
        copy(tree, library)


def copy_python(tree):
    """The part of the library that an isolated interpreter starts with."""
    # Besides, `os` is how an interpreter knows the library's folder.
    code = ("import os, sys; print(*(m.__file__ for m in list(sys.modules.values()) "
            "if getattr(m, '__file__', None)), sep='\\n'); print(os.__file__)")
    files = run("/usr/bin/python3", "-I", "-S", "-c", code).split("\n")
    for path in filter(None, files):
        copy(tree, path)
    os.makedirs(os.path.join(tree + os.path.dirname(files[-2]), "lib-dynload"))


def text(generator, size):
    """Lines of words, some more often than others."""
    vocabulary = ["".join(generator.choices("etaoinshrdlu", k=generator.randint(2, 9)))
                  for _ in range(4000)]
    lines, length = [], 0
    while length < size:
        line = " ".join(vocabulary[int(4000 * generator.random() ** 3)]
                        for _ in range(generator.randint(3, 12)))
        lines.append(line)
        length += len(line) + 1
    return "\n".join(lines) + "\n"


def write_data(tree):
    generator = random.Random(1)
    folder = os.path.join(tree, "data")
    os.makedirs(folder)

    def write(name, content):
        with open(os.path.join(folder, name), "wb") as file:
            file.write(content if isinstance(content, bytes) else content.encode())

    write("big", generator.randbytes(1 << 20) * 24)
    write("text", text(generator, 700_000))
    write("lines", text(generator, 3_000_000))
    write("script.sql", SQL)
    write("script.py", PYTHON)
    write("program.i", "".join(FUNCTION.replace("NUMBER", str(each)) for each in range(60)))
    write_repository(os.path.join(folder, "repository"), generator)


def write_repository(folder, generator):
    """A small repository, the same each time."""
    environment = {
        **os.environ, "GIT_CONFIG_GLOBAL": "/dev/null", "GIT_CONFIG_SYSTEM": "/dev/null",
        "GIT_AUTHOR_DATE": "2020-01-01T00:00:00Z", "GIT_COMMITTER_DATE": "2020-01-01T00:00:00Z"}
    identity = ["-c", "user.name=bench", "-c", "user.email=bench@example.org"]
    os.makedirs(folder)
    run("git", "init", "-q", cwd=folder, env=environment)
    contents = {f"file{number}": text(generator, 4000).split("\n") for number in range(20)}
    for commit in range(60):
        for name in generator.sample(sorted(contents), 5):
            lines = contents[name]
            lines[generator.randrange(len(lines))] = f"change {commit} of {name}"
            with open(os.path.join(folder, name), "w", encoding="utf-8") as file:
                file.write("\n".join(lines))
        run("git", "add", ".", cwd=folder, env=environment)
        run("git", *identity, "commit", "-qm", f"Change {commit}", cwd=folder, env=environment)


def build_tree(work, root):
    """Makes the file system anew; returns its path."""
    tree = os.path.join(work, "programs")
    shutil.rmtree(tree, ignore_errors=True)
    for folder in ("dev", "tmp", "proc"):
        os.makedirs(os.path.join(tree, folder))
    run("gcc", "-O2", "-Wall", "-static", "-o", os.path.join(tree, "init"),
        os.path.join(root, "Guests", "programs", "main.c"))
    places = {"cc1": run("gcc", "-print-prog-name=cc1").strip(), "words": WORDS}
    lines = []
    for name, command in COMMANDS.items():
        words = [places[word[1:-1]] if word[1:-1] in places else word for word in command]
        copy_program(tree, words[0])
        lines.append("\t".join([name, *words]))
    copy_python(tree)
    with open(os.path.join(tree, "programs"), "w", encoding="utf-8") as file:
        file.write("\n".join(lines) + "\n")
    write_data(tree)
    # Used natively; the guest's archive has a device of that name.
    open(os.path.join(tree, "dev", "null"), "w", encoding="utf-8").close()
    return tree


def build_archive(tree, path):
    """Packs the tree as an initial file system."""
    entries = []
    for folder, folders, files in os.walk(tree):
        place = os.path.relpath(folder, tree)
        if place != ".":
            entries.append((place, initrd.DIRECTORY))
        for name in sorted(files):
            inner = os.path.normpath(os.path.join(place, name))
            if inner == "dev/null":
                continue
            with open(os.path.join(folder, name), "rb") as file:
                entries.append((inner, initrd.FILE, file.read()))
    entries += [("dev/console", initrd.DEVICE, b"", (5, 1)),
                ("dev/null", 0o020666, b"", (1, 3)), ("dev/urandom", 0o020666, b"", (1, 9))]
    with open(path, "wb") as file:
        file.write(initrd.archive(entries))
    return path


def native_command(tree):
    """Runs the same tree on the host."""
    enter = ["chroot"] if os.geteuid() == 0 else ["unshare", "--map-root-user", "chroot"]
    return [*enter, tree, "/init"]
