"""Runs a command in a process whose memory never becomes executable (PR_SET_MDWE, Linux 6.3), or says why not."""

import ctypes
import os
import sys

PR_SET_MDWE, PR_MDWE_REFUSE_EXEC_GAIN = 65, 1

if ctypes.CDLL(None, use_errno=True).prctl(PR_SET_MDWE, PR_MDWE_REFUSE_EXEC_GAIN, 0, 0, 0) != 0:
    print("left out: this kernel does not know PR_SET_MDWE:", os.strerror(ctypes.get_errno()))
    sys.exit(0)
os.execvp(sys.argv[1], sys.argv[1:])
