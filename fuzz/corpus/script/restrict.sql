\restrict abc
set x = 1;
\unrestrict abc
