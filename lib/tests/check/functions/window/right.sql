create function f() returns bigint language internal as 'window_row_number';
