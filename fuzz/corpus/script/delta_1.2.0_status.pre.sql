-- A value that is added to an enum can be used only after the transaction that added it
-- (SQLSTATE 55P04): nothing else stands in this file, and no delta of this release uses the value.

alter type water.status add value 'standby' after 'operating';
