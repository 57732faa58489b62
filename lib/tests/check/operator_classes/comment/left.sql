comment on operator class c using btree is 'one';
