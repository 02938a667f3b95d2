"""C++: what reaches the compiler, and what the program does without a runtime in between."""

from dataclasses import replace

from attack_kit import CE, HARMLESS, MLE, OK, OLE, RE, TLE, Attack, cpp, endless

# fmt: off

# The compiler has limits of its own (sandbox.languages), which every one of these ends far below.
COMPILER = [
    cpp("include_a_secret", CE, '#include "/etc/passwd"\nint main(){}'),
    cpp("include_by_way_of_proc", CE,
        '#include "/proc/1/environ"\n#include "/proc/self/root/etc/passwd"\nint main(){}'),
    cpp("include_the_environment", CE,
        '#include <cstdio>\nconst char s[] =\n#include "/proc/self/environ"\n;int main(){puts("ESC" "APED");}'),
    cpp("include_a_device", CE, '#include "/dev/zero"\nint main(){}'),
    replace(cpp("include_randomness", CE, '#include "/dev/urandom"\nint main(){}'), slow=True),
    cpp("include_stdin", CE, '#include "/dev/stdin"\nint main(){return x;}'),
    cpp("include_itself", CE, '#include "main.cpp"\nint main(){}'),
    replace(cpp("include_itself_twice", CE, """
        #if __INCLUDE_LEVEL__ < 150
        #include "main.cpp"
        #include "main.cpp"
        #endif
        int main(){}
    """), slow=True),
    cpp("ask_for_a_secret", OK, """
        #include <cstdio>
        #if __has_include("/etc/passwd") || __has_include("/root/.bashrc") || __has_include("/proc/1/environ")
        int main(){puts("ESCAPED");}
        #else
        int main(){}
        #endif
    """),
    cpp("assemble_a_secret", CE, 'asm(".incbin \\"/etc/shadow\\"\\n.include \\"/etc/passwd\\"");\nint main(){}'),
    cpp("template_bomb", CE, "template<int N> struct A { A<N+1> a; }; A<0> a; int main(){}"),
    cpp("constant_bomb", CE, """
        constexpr long f(long n){long s=0; for(long i=0;i<n;i++) for(long j=0;j<n;j++) s+=i^j; return s;}
        constexpr long x = f(1L<<30);
        int main(){return x;}
    """),
    cpp("macro_bomb", (CE,), """
        #define A(x) x x x x x x x x x x
        #define B(x) A(A(A(A(x))))
        #define C(x) B(B(B(x)))
        const char *s = C("xxxxxxxxxx");
        int main(){}
    """),
    cpp("huge_array", (CE, RE), "char a[1L<<40]={1}; int main(){return a[5];}"),
    cpp("huge_program", CE, "char a[16<<20]={1}; int main(int n,char**){return a[n];}"),
    cpp("huge_section", CE, 'asm(".data\\n.fill 1<<33, 1, 1");\nint main(){}'),
    cpp("flood_of_errors", CE, "#define A a b c d e;\n" + "A\n" * 3000),
]

_TOP = "#include <cstdio>\n#include <unistd.h>\n#include <sys/syscall.h>\n#include <signal.h>\n#include <errno.h>\n"

PROGRAM = [
    cpp("cpp_fork_bomb", (TLE, RE), _TOP + "int main(){for(;;) fork();}"),
    cpp("cpp_vfork_bomb", (TLE, RE), _TOP + "int main(){for(;;) if(vfork()==0) for(;;) if(fork()<0) pause();}"),
    cpp("cpp_thread_bomb", RE, """
        #include <thread>
        #include <vector>
        #include <unistd.h>
        int main(){std::vector<std::thread> v; for(;;) v.emplace_back([]{pause();});}
    """),
    cpp("cpp_memory_bomb", MLE,
        "int main(){for(;;){auto p=new volatile char[1<<20]; for(int i=0;i<1<<20;i+=4096) p[i]=1;}}"),
    cpp("cpp_stack_overflow", (RE, MLE),
        "int f(int n){volatile char a[4096]; a[0]=n; return f(n+1)+a[0];} int main(){return f(0);}"),
    cpp("cpp_crash_that_resumes", (TLE, RE), _TOP + """
        static void h(int){} int main(){
            struct sigaction a = {}; a.sa_handler = h; sigaction(SIGSEGV, &a, 0); *(volatile int*)8 = 1;}
    """),
    cpp("cpp_memory_in_many_small_processes", MLE, _TOP + """
        #include <cstdlib>
        int main(){
            for(int i = 0; i < 13; i++) if(fork() == 0) break;
            volatile char *p = (volatile char*)malloc(6 << 20);
            for(int i = 0; i < (6 << 20); i += 4096) p[i] = 1;
            sleep(3);
        }
    """, memory_mb=48, wall_s=2),
    cpp("cpp_many_mappings_in_many_processes", (MLE, TLE), _TOP + """
        #include <sys/mman.h>
        int main(){
            long n = 60000;
            char *p = (char*)mmap(0, n * 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
            for(long i = 0; i < n; i += 3) p[i * 4096] = 1;
            for(long i = 0; i < n; i += 2) mprotect(p + i * 4096, 4096, PROT_READ);
            for(int i = 0; i < 12; i++) if(fork() == 0) break;
            for(;;) pause();
        }
    """, cpu_s=20, wall_s=3),
    endless("cpp_endless_constructor", "struct A{A(){for(volatile int i=0;;) i=0;}} a; int main(){}", "cpp"),
    endless("cpp_endless_destructor", "struct A{~A(){for(volatile int i=0;;) i=0;}} a; int main(){}", "cpp"),
    cpp("cpp_output_flood", OLE, '#include <cstdio>\nint main(){for(;;) puts("xxxxxxxxxxxxxxxxxxxxxxxxxxxx");}'),
    endless("cpp_stopped", _TOP + "int main(){for(;;) raise(SIGSTOP);}", "cpp"),
    cpp("cpp_orphan", OK,
        _TOP + 'int main(){if(fork()==0){setsid(); if(fork()==0) for(;;) (void)!write(1,"",0); pause();}}'),
    endless("cpp_read_past_the_end", "#include <cstdio>\nint main(){for(;;) getchar();}", "cpp"),
    endless("cpp_exec_of_a_shell",
            _TOP + 'int main(){execl("/bin/sh","sh","-c","while :; do :; done",(char*)0);}', "cpp"),
    cpp("cpp_calls_by_number", OK, _TOP + """
        int main(){
            long numbers[] = {SYS_ptrace, SYS_unshare, SYS_mount, SYS_setns, SYS_keyctl, SYS_bpf, SYS_perf_event_open,
                              SYS_process_vm_readv, SYS_memfd_create, SYS_shmget, SYS_io_uring_setup, SYS_reboot};
            for(long n : numbers){
                errno = 0;
                if(syscall(n, 1, 0, 0, 0, 0, 0) >= 0 || errno != EPERM) puts("ESCAPED");
            }
        }
    """),
    cpp("cpp_calls_of_32_bits", RE, _TOP + """
        #if defined __x86_64__
        int main(){int r; asm volatile("int $0x80" : "=a"(r) : "a"(20)); printf("ESCAPED %d", r);}
        #else
        int main(){return 1;}
        #endif
    """),
    cpp("cpp_calls_of_x32", OK, _TOP + """
        int main(){
        #if defined __x86_64__
            long r; asm volatile("syscall" : "=a"(r) : "a"(0x40000000L + 39) : "rcx", "r11", "memory");
            if(r >= 0) puts("ESCAPED");
        #endif
        }
    """),
    cpp("cpp_secrets", OK, _TOP + """
        int main(){
            const char *paths[] = {"/etc/passwd", "/proc/1/environ", "/proc/1/mem", "/root/.bashrc", "/dev/mem"};
            for(const char *p : paths) if(FILE *f = fopen(p, "r")) { if(getc(f) != EOF) puts("ESCAPED"); fclose(f); }
            for(int fd = 3; fd < 256; fd++) if(dup(fd) >= 0) puts("ESCAPED");
            kill(1, 9); kill(getppid(), 9);
        }
    """),
    cpp("cpp_own_binary", HARMLESS, _TOP + """
        #include <fcntl.h>
        int main(){
            int fd = open("/proc/self/exe", O_RDWR);
            if(fd >= 0 && write(fd, "x", 1) == 1) puts("ESCAPED");
        }
    """),
]

ATTACKS: list[Attack] = [*COMPILER, *PROGRAM]
