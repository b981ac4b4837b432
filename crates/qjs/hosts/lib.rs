//! Nothing: this package only names the QuickJS sources that the tests build their hosts from.
