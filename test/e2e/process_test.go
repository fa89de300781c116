package e2e

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
)

// started are the processes that were started, for killAll.
var started []*process

// process is a container: a process whose root directory is its image.
type process struct {
	name string
	// root has what the process can see of the file system: all of it root's, none of it writable.
	root    string
	command []string
	env     []string
	uid     int
	cmd     *exec.Cmd
	// ended is closed when the process has ended.
	ended chan struct{}
}

// start starts the process as the user of the container.
func (p *process) start() {
	GinkgoHelper()
	log, err := os.Create(p.logFile())
	Expect(err).NotTo(HaveOccurred())
	defer func() { _ = log.Close() }()
	Expect(sealDirectories(p.root)).To(Succeed())
	p.cmd = &exec.Cmd{Path: p.command[0], Args: p.command, Env: p.env, Dir: "/", Stdout: log, Stderr: log, SysProcAttr: confine(p.root, p.uid)}
	err = p.cmd.Start()
	if errors.Is(err, syscall.EPERM) {
		Fail("this suite runs the binaries in root directories of their own: run it as root, or where unprivileged user namespaces are allowed: " + err.Error())
	}
	Expect(err).NotTo(HaveOccurred(), "starting %s", p.name)
	GinkgoWriter.Printf("started %s as process %d: %s\n", p.name, p.cmd.Process.Pid, strings.Join(p.command, " "))
	p.ended = make(chan struct{})
	started = append(started, p)
	go func() {
		_ = p.cmd.Wait() // The test asks for the state.
		close(p.ended)
	}()
}

// confine returns the attributes of a process that sees root only and is uid. A user who is not root becomes uid in a user namespace.
func confine(root string, uid int) *syscall.SysProcAttr {
	attributes := &syscall.SysProcAttr{Chroot: root, Pdeathsig: syscall.SIGKILL, Credential: &syscall.Credential{Uid: uint32(uid), Gid: uint32(uid)}}
	if os.Getuid() != 0 {
		attributes.Cloneflags = syscall.CLONE_NEWUSER
		attributes.UidMappings = []syscall.SysProcIDMap{{ContainerID: uid, HostID: os.Getuid(), Size: 1}}
		attributes.GidMappings = []syscall.SysProcIDMap{{ContainerID: uid, HostID: os.Getgid(), Size: 1}}
		attributes.Credential.NoSetGroups = true
	}
	return attributes
}

// sealDirectories takes the right to write from every directory below root.
func sealDirectories(root string) error {
	return filepath.WalkDir(root, func(path string, entry os.DirEntry, err error) error {
		if err != nil || !entry.IsDir() {
			return err
		}
		return os.Chmod(path, 0o555)
	})
}

// killAll ends what tests have left running. Every ordered container of tests has it in its AfterAll.
func killAll() {
	for _, p := range started {
		p.kill()
	}
	started = nil
}

// kill ends the process at once, as a node that fails does. It waits until the process is gone.
func (p *process) kill() { p.end(syscall.SIGKILL) }

// stop ends the process as the kubelet does.
func (p *process) stop() { p.end(syscall.SIGTERM) }

func (p *process) end(signal syscall.Signal) {
	_ = p.cmd.Process.Signal(signal) // It may have ended by itself.
	<-p.ended
	_ = filepath.WalkDir(p.root, func(path string, entry os.DirEntry, err error) error {
		if err == nil && entry.IsDir() {
			return os.Chmod(path, 0o755) // Or nobody but root can delete it.
		}
		return err
	})
}

// exited returns whether the process has ended, and its exit code.
func (p *process) exited() (code int, exited bool) {
	select {
	case <-p.ended:
		return p.cmd.ProcessState.ExitCode(), true
	default:
		return 0, false
	}
}

// output returns all that the process has written.
func (p *process) output() string {
	data, err := os.ReadFile(p.logFile())
	if err != nil {
		return err.Error()
	}
	return string(data)
}

func (p *process) logFile() string { return p.root + ".log" }
