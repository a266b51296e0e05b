"""Settings of this machine: set-up, the local stack, tests and faults."""

from jobs.settings.kinds import Flag, LocalPath, Text, Whole

HOME = LocalPath(
    "VIEWLEDGER_HOME",
    read_by="set-up, the local stack",
    meaning="the folder for everything that can be created again: packages, jars, the stacks' files",
    without="`.viewledger` in the checkout; for root with a closed checkout, one below `/var/lib/viewledger`",
)
PYTHON = Text(
    "VIEWLEDGER_PYTHON",
    read_by="the launcher",
    meaning="the Python to run, 3.11 or newer",
    without="`python3`, else `python3.11` to `python3.13`",
)
APT = Flag(
    "VIEWLEDGER_APT",
    read_by="set-up",
    meaning="0: no Debian package is installed",
    default=True,
)
PORT_BASE = Whole(
    "VIEWLEDGER_PORT_BASE",
    read_by="`up`, `doctor`",
    meaning="the first port of the local stack",
    default=17070,
    least=1_024,
    most=65_501,
)
FAILPOINT = Text(
    "VIEWLEDGER_FAILPOINT",
    read_by="collector, speed, batch, maintain",
    meaning="for tests: where a process harms itself, like `speed.after_apply:kill@17`",
    without="nowhere",
)
WRONG_CLOCK = LocalPath(
    "VIEWLEDGER_WRONG_CLOCK",
    read_by="the library of `faults/wrong_clock.c`",
    meaning="for tests: the file with the nanoseconds by which a process's clock is wrong",
    without="the clock is right",
)
SCREENSHOTS = LocalPath(
    "VIEWLEDGER_SCREENSHOTS",
    read_by="tests of the portal",
    meaning="the folder where pictures of the pages are kept",
    without="none are kept",
)
JAVA_HOME = LocalPath(
    "JAVA_HOME",
    read_by="set-up, the local stack",
    meaning="the Java to run Kafka, HDFS and Spark on",
    without="the `java` on the path, else one of Debian's",
)
NO_COLOR = Text(
    "NO_COLOR",
    read_by="set-up, `doctor`",
    meaning="any value: nothing is marked by colour",
    without="terminals show colours",
)
