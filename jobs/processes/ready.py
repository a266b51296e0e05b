"""`python -m jobs.ready PORT`: a container's health check; exits with 0 when GET /readyz on the port answers 200."""

import sys

from jobs.local_stack.http_probe import http_is_ready

if __name__ == "__main__":
    sys.exit(not http_is_ready(int(sys.argv[1])))
