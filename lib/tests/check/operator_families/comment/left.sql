comment on operator family f using btree is 'one';
