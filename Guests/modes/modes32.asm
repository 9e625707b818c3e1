; What old 32-bit systems used: call gates, tasks, virtual-8086 mode, odd segments, paging with
; large pages. Each part prints what it sees; Tests/Boot/bare.py has what a processor shows.
;
; Build: nasm -f bin -o modes32 modes32.asm
; Run:   apus bare --mode protected --load 0x100000 modes32
        bits 32
        org 0x100000

%define AT(place) ((place) - $$ + 0x100000)
%macro say 1
        push eax
        mov al, %1
        out 0xe9, al
        pop eax
%endmacro
%macro show 1                           ; a value, in hexadecimal, and a space
        mov [kept], eax
        mov eax, %1
        call hex
        mov eax, [kept]
%endmacro
%macro line 0
        say 10
%endmacro
; Where to go on, with the flat stack of now, once a fault has been told.
%macro after_fault 1
        mov dword [resume], %1
        mov [resume_stack], esp
%endmacro
%macro descriptor 4                     ; base, limit, type, flags
        dw (%2) & 0xffff, (%1) & 0xffff
        db ((%1) >> 16) & 0xff, %3, ((%4) << 4) | (((%2) >> 16) & 15), ((%1) >> 24) & 0xff
%endmacro
%macro gate 4                           ; selector, offset, type, parameters
        dw (%2) & 0xffff, %1
        db %4, %3
        dw (%2) >> 16
%endmacro

CODE    equ 0x08
DATA    equ 0x10
UCODE   equ 0x1b
UDATA   equ 0x23
CODE16  equ 0x28
TASK0   equ 0x30
TASK1   equ 0x38
TASK2   equ 0x40
GATE32  equ 0x4b
GATE16  equ 0x53
GATE0   equ 0x58
GATENP  equ 0x63
DOWN32  equ 0x68
DOWN16  equ 0x70
REAL    equ 0x78
UCODE2  equ 0x83
USTACK  equ 0x9000                      ; below 64 KiB, for 16-bit gates

start:  lgdt [gdtr]
        jmp CODE:.flat
.flat:  mov ax, DATA
        mov ds, ax
        mov es, ax
        mov ss, ax
        mov esp, stack0
        ; Vectors 0 to 31, and 0x21.
        mov edi, idt
        mov eax, stubs
        mov ecx, 32
.fill:  mov [edi], ax
        mov word [edi + 2], CODE
        mov word [edi + 4], 0x8e00
        ror eax, 16
        mov [edi + 6], ax
        ror eax, 16
        add eax, stub1 - stubs
        add edi, 8
        loop .fill
        mov dword [idt + 10 * 8], TASK2 << 16
        mov dword [idt + 10 * 8 + 4], 0x8500
        lidt [idtr]
        mov ax, TASK0
        ltr ax
        call gates
        call tasks
        call virtual
        call odd
        call paging
        jmp real

; --- Call gates
gates:  pusha
        after_fault .denied
        mov ax, UDATA
        mov ds, ax
        mov es, ax
        push UDATA
        push USTACK
        push 0x3002
        push UCODE
        push .user
        iretd
.user:  push 0x11111111
        push 0x22222222
        call GATE32:0
        say 'u'
        lea eax, [esp - USTACK]
        show eax
        mov ax, cs
        show eax
        line
        jmp UCODE2:.low - $$            ; 16-bit gates keep 16 bits of the pointer, too
.low:   push word 0x3333
        call GATE16:0
        say 'u'
        lea eax, [esp - USTACK]
        show eax
        line
        call GATE0:0
.denied:
        after_fault .absent
        call GATENP:0
.absent:
        popa
        ret
.gate32:
        say 'g'
        show [esp + 8]
        show [esp + 12]
        mov eax, [esp + 16]
        sub eax, USTACK
        show eax
        show [esp + 20]
        line
        retf 8
        bits 16
.gate16:
        mov bp, sp                      ; IP, CS, the parameter, SP, SS
        mov al, 'h'
        out 0xe9, al
        mov ebx, esp
        call hex16
        retf 2
; Shows the parameter and the old SP of a 16-bit gate, from 32-bit offsets on.
hex16:  movzx eax, word [ss:ebx + 4]
        call hex_from16
        movzx eax, word [ss:ebx + 6]
        sub ax, USTACK
        call hex_from16
        mov al, 10
        out 0xe9, al
        ret
hex_from16:
        mov cx, 4
.digit: rol ax, 4
        push ax
        and al, 15
        add al, '0'
        cmp al, '9'
        jbe .put
        add al, 'a' - '9' - 1
.put:   out 0xe9, al
        pop ax
        loop .digit
        mov al, ' '
        out 0xe9, al
        ret
        bits 32

; --- Tasks
%macro types 0                          ; of the descriptors of tasks 0 and 1
        movzx eax, byte [gdt + TASK0 + 5]
        show eax
        movzx eax, byte [gdt + TASK1 + 5]
        show eax
        pushfd
        pop eax
        and eax, 0x4000
        show eax
%endmacro
tasks:  pusha
        jmp TASK1:0
        say 'b'
        types
        line
        call TASK1:0
        say 'c'
        types
        line
        int 0x40
        say 'd'
        types
        line
        ; A task whose stack segment is code.
        mov word [task1.ss], CODE
        jmp TASK1:0
        say 'e'
        types
        line
        popa
        ret
.task1: say '1'
        types
        line
        jmp TASK0:0
        say '2'
        types
        movzx eax, word [task1]
        show eax
        line
        iretd
        say '3'
        types
        movzx eax, word [task1]
        show eax
        mov eax, esp                    ; an interrupt without an error code
        sub eax, stack1
        show eax
        line
        iretd
.fault: say 'f'                         ; task 2, with an error code
        pop eax
        show eax
        movzx eax, word [task2]
        show eax
        str ax
        movzx eax, ax
        show eax
        line
        ; Nobody goes back to task 1.
        mov byte [gdt + TASK1 + 5], 0x89
        jmp TASK0:0

; --- Virtual-8086 mode
%macro enter86 2                        ; flags, entry
        push 0
        push 0
        push 0x2000
        push 0
        push 0x3000
        push 0x1000
        push (%1) | 0x20002
        push 0x2000
        push (%2) - code86
        iretd
%endmacro
virtual:
        pusha
        mov esi, code86
        mov edi, 0x20000
        mov ecx, code86_end - code86
        rep movsb
        ; IOPL 3: everything but INT goes by itself.
        after_fault .less
        enter86 0x3000, code86.plain
.less:  show [0x20ff0]
        line
        ; IOPL 0: CLI and INT fault.
        after_fault .number
        enter86 0, code86.cli
.number:
        after_fault .mode
        enter86 0, code86.int
.mode:  ; With CR4.VME: interrupts of the mode's own, and a virtual interrupt flag.
        mov eax, cr4
        or al, 1
        mov cr4, eax
        mov word [0x21 * 4], code86.own - code86
        mov word [0x21 * 4 + 2], 0x2000
        and byte [task0.redirection + 0x21 / 8], ~(1 << (0x21 % 8))
        mov dword [0x20ff0], 0
        mov dword [0x20ff4], 0
        after_fault .over
        enter86 0, code86.vme
.over:  show [0x20ff0]
        show [0x20ff4]
        line
        ; A pending interrupt that STI would let in: #GP.
        after_fault .end
        enter86 0x100000, code86.sti
.end:   mov eax, cr4
        and al, ~1
        mov cr4, eax
        popa
        ret
; INT 0x21 from virtual-8086 mode arrives here.
called: mov ax, DATA
        mov ds, ax
        mov es, ax
        say 'v'
        show [esp]
        show [esp + 4]
        mov eax, [esp + 8]
        and eax, 0x23000
        show eax
        show [esp + 12]
        show [esp + 16]
        show [esp + 24]
        line
        mov esp, [resume_stack]
        jmp [resume]

        bits 16
code86:
.plain: cli
        pushf
        pop word [0xff0]
        sti
        pushf
        pop word [0xff2]
.int:   int 0x21
.cli:   cli
.sti:   sti
.vme:   sti
        pushf
        pop word [0xff0]
        int 0x21
        cli
        pushf
        pop word [0xff6]
        int 0x22
.own:   mov bp, sp
        mov ax, [bp + 4]
        mov [0xff2], ax
        pushf
        pop word [0xff4]
        iret
code86_end:
        bits 32

; --- Segments that expand down, LMSW
odd:    pusha
        mov ax, DOWN32
        mov fs, ax
        mov dword [fs:0x1000], 0x600d
        show [0x1000]
        after_fault .wide
        mov eax, [fs:0xffd]
.wide:  mov ax, DOWN16
        mov fs, ax
        show [fs:0x1000]
        after_fault .msw
        mov eax, [fs:0xfffd]
.msw:   xor eax, eax                    ; cannot leave protected mode
        lmsw ax
        smsw eax
        show eax
        mov ax, 3
        lmsw ax
        smsw eax
        show eax
        mov ax, 1
        lmsw ax
        line
        popa
        ret

; --- Paging: a 4 MiB page, then the same memory with PAE
paging: pusha
        mov edi, 0x300000
        xor eax, eax
        mov ecx, 0x2000
        rep stosd
        mov dword [0x300000], 0x83
        mov dword [0x300004], 0x800083
        mov eax, cr4
        or al, 0x10
        mov cr4, eax
        mov eax, 0x300000
        mov cr3, eax
        mov eax, cr0
        or eax, 0x80000000
        mov cr0, eax
        mov dword [0x412345], 0x600dcafe
        and eax, 0x7fffffff
        mov cr0, eax
        mov eax, cr4
        xor al, 0x30
        mov cr4, eax
        mov dword [0x301000], 0x302001
        mov dword [0x302000], 0x83
        mov dword [0x302008], 0x200083
        mov dword [0x302010], 0x800083  ; 2 MiB at the same place
        mov eax, 0x301000
        mov cr3, eax
        mov eax, cr0
        or eax, 0x80000000
        mov cr0, eax
        show [0x412345]
        movzx eax, byte [0x302010]
        show eax
        after_fault .unmapped
        mov eax, [0x600000]
.unmapped:
        mov eax, cr2
        show eax
        line
        mov eax, cr0
        and eax, 0x7fffffff
        mov cr0, eax
        mov eax, cr4
        and al, ~0x30
        mov cr4, eax
        popa
        ret

; --- Back to real mode, with a data segment that keeps its limit
real:   mov dword [0x200000], 0x600dbeef
        mov esi, code_real
        mov edi, 0x8000
        mov ecx, code_real_end - code_real
        rep movsb
        mov word [0x20], 0
        jmp REAL:0x8000
        bits 16
code_real:
        mov eax, cr0
        and al, ~1
        mov cr0, eax
        jmp 0:0x8000 + .real - code_real
.real:  mov esi, 0x200000
        mov eax, [esi]
        cmp eax, 0x600dbeef
        jne .bad
        mov ax, 42
        out 0xf4, al
.bad:   mov ax, 1
        out 0xf4, al
code_real_end:
        bits 32

; --- What all use
hex:    push ecx
        push edx
        mov edx, eax
        mov ecx, 8
.digit: rol edx, 4
        mov al, dl
        and al, 15
        add al, '0'
        cmp al, '9'
        jbe .put
        add al, 'a' - '9' - 1
.put:   out 0xe9, al
        loop .digit
        mov al, ' '
        out 0xe9, al
        pop edx
        pop ecx
        ret

; A stub for each exception: those without an error code push 0.
stubs:
%assign vector 0
%rep 32
%if vector = 1
stub1:
%endif
%if vector = 8 || (vector >= 10 && vector <= 14) || vector = 17
        nop
        nop
%else
        push byte 0
%endif
        push byte vector
        jmp near fault
%assign vector vector + 1
%endrep
fault:  mov ax, DATA
        mov ds, ax
        mov es, ax
        mov ss, ax
        say 'X'
        mov eax, [esp]
        show eax
        mov eax, [esp + 4]
        show eax
        line
        mov esp, [resume_stack]
        jmp [resume]

        align 8
gdt:    dq 0
        descriptor 0, 0xfffff, 0x9b, 0xc
        descriptor 0, 0xfffff, 0x93, 0xc
        descriptor 0, 0xfffff, 0xfb, 0xc
        descriptor 0, 0xfffff, 0xf3, 0xc
        descriptor 0x100000, 0xffff, 0x9b, 0
        descriptor AT(task0), task0_end - task0 - 1, 0x89, 0
        descriptor AT(task1), 0x67, 0x89, 0
        descriptor AT(task2), 0x67, 0x89, 0
        gate CODE, AT(gates.gate32), 0xec, 2
        gate CODE16, gates.gate16 - $$, 0xe4, 1
        gate CODE, AT(gates.gate32), 0x8c, 0
        gate CODE, AT(gates.gate32), 0x6c, 0
        descriptor 0, 0, 0x97, 0xc      ; expand down: 0x1000 and above
        descriptor 0, 0xfff, 0x97, 0    ; 0x1000 to 0xffff
        descriptor 0, 0xffff, 0x9b, 0
        descriptor 0x100000, 0xffff, 0xfb, 4
gdtr:   dw gdtr - gdt - 1
        dd gdt
idtr:   dw 0x41 * 8 - 1
        dd idt

        align 16
%macro task 3                           ; its stack, where it starts, flags for its map
        dd 0, stack3, DATA, 0, 0, 0, 0, 0, %2, 2
        dd 0, 0, 0, 0, %1, 0, 0, 0
        dd DATA, CODE
%%ss:   dd DATA, DATA, DATA, DATA, 0
        dw 0, %3
%endmacro
task0:  task stack0, start, 0x88
.redirection:
        times 32 db 0xff
.map:   times 0x2000 db 0
        db 0xff
task0_end:
task1:  task stack1, tasks.task1, 0x68
.ss     equ task1 + 0x50
task2:  task stack2, tasks.fault, 0x68

        align 16
resume: dd 0
kept:   dd 0
resume_stack:
        dd 0
idt:    times 0x21 dq 0
        gate CODE, AT(called), 0xee, 0
        gate CODE, AT(called), 0x8e, 0
        times 0x40 - 0x23 dq 0
        gate TASK1, 0, 0xe5, 0
        times 0x1000 db 0
stack0: times 0x1000 db 0
stack1: times 0x1000 db 0
stack2: times 0x1000 db 0
stack3:
