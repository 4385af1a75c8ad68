/* The model, in flash, aligned as weights like it. */
    .section .rodata.model, "a"
    .balign 64
    .global model_file
model_file:
    .incbin MODEL
    .global model_file_end
model_file_end:
    .section .note.GNU-stack, "", %progbits
