; Prints "Hello, world!", writes 42 to [0x400] and ends with 42 in AX. For real mode.
;
; Build: nasm -f bin -o hello16 hello16.asm
; Run:   apus bare hello16
        bits 16
        org 0
        mov si, text
        cld
next:   lodsb
        test al, al
        jz done
        out 0xe9, al
        jmp next
done:   mov ax, 42
        mov [0x400], ax
        hlt
text:   db "Hello, world!", 10, 0
