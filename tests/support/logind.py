"""Stands in for systemd-logind on the bus at argv[1]; does what lines of its input say, and tells of its locks."""
import os, sys
import dbus, dbus.lowlevel, dbus.service
from dbus.mainloop.glib import DBusGMainLoop
from gi.repository import GLib

MANAGER = "org.freedesktop.login1.Manager"
PATH = "/org/freedesktop/login1"
askers = []


def say(text):
    print(text, flush=True)


class Manager(dbus.service.Object):
    @dbus.service.method(MANAGER, in_signature="ssss", out_signature="h", sender_keyword="sender")
    def Inhibit(self, what, who, why, mode, sender=None):
        ours, theirs = os.pipe()
        GLib.io_add_watch(ours, GLib.IO_HUP, lambda *_: released(ours))
        askers.append(sender)
        say(f"lock {what} {who} {mode}")
        given = dbus.types.UnixFd(theirs)
        os.close(theirs)
        return given

    @dbus.service.signal(MANAGER, signature="b")
    def PrepareForSleep(self, start):
        pass


def released(lock):
    os.close(lock)
    say("released")
    return False


def forge():
    """The same words by somebody else, to the daemon alone, with a descriptor."""
    signal = dbus.lowlevel.SignalMessage(PATH, MANAGER, "PrepareForSleep")
    ours, theirs = os.pipe()
    signal.append(True, dbus.types.UnixFd(theirs), signature="bh")
    os.close(theirs)
    signal.set_destination(askers[-1])
    stranger = dbus.bus.BusConnection(sys.argv[1])
    stranger.send_message(signal)
    stranger.flush()
    say("forged")


def act(*_):
    line = sys.stdin.readline().strip()
    if line == "forge":
        forge()
    elif line:
        manager.PrepareForSleep(line == "sleep")
    else:
        loop.quit()
    return True


loop = GLib.MainLoop()
bus = dbus.bus.BusConnection(sys.argv[1], mainloop=DBusGMainLoop())
name = dbus.service.BusName("org.freedesktop.login1", bus)
manager = Manager(bus, PATH)
GLib.io_add_watch(sys.stdin.fileno(), GLib.IO_IN | GLib.IO_HUP, act)
say("ready")
loop.run()
