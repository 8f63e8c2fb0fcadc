"""Becomes the command given, with a nameserver's socket open beside it that takes questions and never answers."""

import os
import socket
import sys

nameserver = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
nameserver.bind(("127.0.0.1", 53))
nameserver.set_inheritable(True)
os.execv(sys.argv[1], sys.argv[1:])
