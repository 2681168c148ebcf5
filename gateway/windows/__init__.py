"""How is a text answered that is longer than the model reads? In windows that overlap, whose answers become one."""
