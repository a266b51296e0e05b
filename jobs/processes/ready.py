"""`python -m jobs.processes.ready PORT`: a container's health check; exits with 0 when GET /readyz answers 200."""

import sys

from jobs.local_stack.http_probe import http_is_ready

if __name__ == "__main__":
    sys.exit(not http_is_ready(int(sys.argv[1])))
